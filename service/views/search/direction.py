"""Search by a direction of activations."""

from typing import Any

from service.http.paging import listing
from service.payloads import records
from service.questions import Json, Question


def search_direction(question: Question, layer: str, weights: dict[str, float], **options: Any) -> Json:
    by_number = {int(neuron): weight for neuron, weight in weights.items()}
    page = question.index.search(layer, by_number, **options)
    return listing(page, lambda patch: records.similar_patch(question.links, patch))
