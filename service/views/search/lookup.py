"""Look up an uploaded image."""

from typing import Any

from indexer.query.layer import cell_of
from indexer.query.lookup import layers_for, look_up
from service.payloads import records
from service.questions import Json, Question
from service.uploads import forward_upload


def lookup_image(question: Question, y: int | None, x: int | None, layer: str | None, **options: Any) -> Json:
    cell = cell_of(y, x)
    result = forward_upload(question, layers_for(question.index, layer))
    answer = look_up(question.index, result.maps, result.width, result.height, layer=layer, cell=cell, **options)
    return records.lookup(question.links, question.names, result.width, result.height, answer)
