"""A layer's atlas: what it is, its points, patches of a part of it, and what tells a selection from the rest."""

from indexer.query.atlases.atlas import points_of, select, spread
from service.payloads import atlas as payloads
from service.questions import Binary, Json, Question


def get_atlas(question: Question, layer: str) -> Json:
    made, points = question.index.atlas(layer), points_of(question.index, layer)
    return payloads.atlas(question.links, layer, made, points, question.index.classes)


def get_atlas_points(question: Question, layer: str, limit: int | None) -> Binary:
    points = points_of(question.index, layer).first(limit)
    return Binary(payloads.numpy_file(points, question.index.layer(layer).info.width), "application/octet-stream")


def list_atlas_patches(
    question: Question, layer: str, left: float, top: float, right: float, bottom: float, columns: int, rows: int
) -> Json:
    shown = spread(question.index, layer, left, top, right, bottom, columns, rows)
    return {"items": [payloads.point(question.links, layer, point) for point in shown]}


def select_in_atlas(question: Question, layer: str, polygon: list[list[float]], limit: int) -> Json:
    found = select(question.index, layer, [(x, y) for x, y in polygon], limit)
    return payloads.selection(question.links, question.names, layer, found)
