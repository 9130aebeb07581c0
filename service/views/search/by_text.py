"""Neurons that fire for what a text says."""

from indexer.describe.by_text import check_text
from indexer.errors import ModelUnavailable
from indexer.query.searching.by_text import fires_for
from service.inference.encoding import NO_ENCODER
from service.payloads.by_text import firing_for
from service.questions import Json, Question


def list_firing_for(question: Question, layer: str, text: str, limit: int) -> Json:
    index, services = question.index, question.services
    made = index.patch_vectors(layer).encoder
    check_text(text)
    if services.settings.encoder is None:
        raise ModelUnavailable(NO_ENCODER)
    with services.passes.turn() as network:
        encoded = network.encode_text(text)
    if encoded.by != made:
        raise ModelUnavailable(
            f"the patches of {layer} were encoded by {made.name!r} (digest {made.digest[:16]}), and --encoder is "
            f"{encoded.by.name!r} (digest {encoded.by.digest[:16]}): their vectors cannot be compared"
        )
    found = fires_for(index, layer, encoded.by, encoded.vector, limit)
    return firing_for(question.links, question.names, layer, text, found)
