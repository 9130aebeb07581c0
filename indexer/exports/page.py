"""An index as one HTML file to pass on: it shows what the neurons have learned, and needs no program and no service.

Everything is in the file: pictures as data URLs, the style in its head, no script, and a policy that forbids requests.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any

import jinja2
from PIL import Image

from indexer.defaults import PAGE_COLUMNS, PAGE_NEURONS, Field
from indexer.errors import InvalidRequest, NotFound
from indexer.pictures.crop import encode, scale
from indexer.pictures.framed import framed
from indexer.pictures.lost import LostOriginals
from indexer.pictures.mask import Mask, unmasked
from indexer.pictures.sheet import tile_pictures
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning import neurons
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.report import of_confusion, report
from indexer.query.records import Patch
from indexer.shards.format import LEAST_POSITIVE
from indexer.synthesis.kept import kept_optimal

TILE = 112
CONTEXT = 0.1
MATRIX_CLASSES = 40
"""A confusion matrix of more classes is left out, as nobody could read it."""

Json = dict[str, Any]
_PAGE = jinja2.Environment(
    loader=jinja2.PackageLoader("indexer.exports", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)  # fmt: skip


def write_page(
    index: Index,
    *,
    count: int = PAGE_NEURONS,
    columns: int = PAGE_COLUMNS,
    field: Field = "exact",
    mask: Mask = unmasked,
    lost: LostOriginals | None = None,
) -> str:
    """The HTML of the page.

    Parameters
    ----------
    count : int
        Neurons of each layer, 1 to 200; see `indexer.query.learning.neurons.worth_showing`.
    columns : int
        Patches of each neuron, 1 to 20.
    field : {"exact", "effective"}
        Show receptive fields, or effective ones, which are sampled.
    mask : Mask
        Darkens what does not matter of each patch; see `indexer.pictures.mask`.
    lost : LostOriginals, optional
        Notes the originals that a placeholder stands for.

    Raises
    ------
    InvalidRequest
    NotFound
        A layer has no effective field.
    ImageUnavailable
        No original can be shown.
    DamagedFile
        An image made for a neuron is not what was written.
    """
    for layer in index.layers:
        index.check_field(layer, field)
    for name, value, high in (("neurons", count, 200), ("columns", columns, 20)):
        if not 1 <= value <= high:
            raise InvalidRequest(f"{name} must be 1 to {high}, not {value}")
    about, lost = report(index), LostOriginals() if lost is None else lost
    layers = [
        {**layer, **_gallery(index, layer["layer"], count, columns, field, mask, lost)} for layer in about["layers"]
    ]
    lost.check()
    return _PAGE.get_template("page.html").render(
        report={**about, "layers": layers},
        matrix=_matrix(index),
        configuration=index.manifest.configuration,
        tile=TILE,
        field=field,
    )


def _gallery(index: Index, name: str, count: int, columns: int, field: Field, mask: Mask, lost: LostOriginals) -> Json:
    layer, table = index.layer(name), neurons.table(index, name)
    chosen = neurons.worth_showing(table, count)
    best = [index.top_patches(name, neuron, limit=columns, min=LEAST_POSITIVE).items for neuron in chosen]
    patches = [framed(index, name, own, field) for own in best]
    pictures = tile_pictures(index, patches, TILE, CONTEXT, lost, mask)
    rows = [
        {**table.row(neuron), "neuron": neuron, "made": _made(index, name, neuron),
         "patches": _patches(layer, own, drawn, lost)}
        for neuron, own, drawn in zip(chosen, patches, pictures, strict=True)
    ]  # fmt: skip
    return {"info": layer.info, "gallery": rows, "made": any(row["made"] for row in rows)}


def _made(index: Index, layer: str, neuron: int) -> Json | None:
    """The image made for a neuron that lies beside the index."""
    kept = kept_optimal(index, layer, neuron)
    if kept is None:
        return None
    picture = scale(Image.fromarray(kept.pixels), TILE)
    ratio = kept.about["trust"]["transformed_ratio"]
    return {"source": _data_url(picture), "width": picture.width, "height": picture.height, "ratio": ratio}


def _patches(
    layer: Layer, patches: Sequence[Patch], pictures: Sequence[Image.Image], lost: LostOriginals
) -> list[Json]:
    return [
        {
            "source": _data_url(picture),
            "width": picture.width,
            "height": picture.height,
            "share": patch.activation / float(layer.statistics["maximum"][patch.neuron]),
            "activation": patch.activation,
            "path": patch.image.path,
            "missing": patch.image.id in lost.images,
            "class": patch.image.class_,
        }
        for patch, picture in zip(patches, pictures, strict=True)
    ]


def _data_url(picture: Image.Image) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode(picture, "JPEG")).decode()


def _matrix(index: Index) -> Json | None:
    """The confusion matrix, as shares of each class's images; None if there is none or it has too many classes."""
    try:
        matrix = of_confusion(confusion(index)) if len(index.classes) > 1 else None
    except NotFound:  # no output layer, or none of its outputs is a class
        return None
    if matrix is None or len(matrix["classes"]) > MATRIX_CLASSES:
        return None
    rows = [
        {"class": name, "images": sum(row) + other, "cells": [_cell(value, sum(row) + other) for value in row],
         "elsewhere": other}
        for name, row, other in zip(matrix["classes"], matrix["matrix"], matrix["elsewhere"], strict=True)
    ]  # fmt: skip
    return {**matrix, "rows": rows}


def _cell(value: int, images: int) -> Json:
    """A count and the strength of its colour in percent, which grows with the root so that few mistakes show too."""
    return {"count": value, "strength": round(60 * math.sqrt(value / max(images, 1)))}
