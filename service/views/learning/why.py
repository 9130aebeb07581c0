"""Why the network answers so, on an indexed image and on an uploaded one."""

from indexer.explain.why import explained, question, why_on
from service.payloads import why
from service.questions import Json, Question
from service.uploads import uploaded_file


def get_why(asked_of: Question, image: int, layer: str, for_: str | None, against: str | None, limit: int) -> Json:
    index = asked_of.index
    record = index.image(image)
    asked = question(index, layer, for_, against, limit)
    with asked_of.services.passes.turn() as network:
        found = why_on(index, lambda pixels: network.explain(index.manifest.configuration, asked, pixels), asked, image)
    return why.on_image(asked_of.links, record, found)


def lookup_why(asked_of: Question, layer: str, for_: str | None, against: str | None, limit: int) -> Json:
    index = asked_of.index
    asked = question(index, layer, for_, against, limit)
    data = uploaded_file(asked_of.request)
    with asked_of.services.passes.turn() as network:
        width, height, said = network.explain_file(index.manifest.configuration, asked, data)
    return why.on_upload(asked_of.links, width, height, explained(index, asked, said, width, height))
