"""The indexes that are served."""

from flask import Response, request

from indexer.errors import NotFound, UnitscopeError
from indexer.query.learning.answering.output_kind import kind_of
from indexer.query.learning.answering.outputs import named_outputs, output_layer, outputs_of, unmatched_classes
from service.handlers import as_json
from service.http import etags
from service.http.paging import listing, whole
from service.indexes.generations import OpenGeneration
from service.payloads.links import index_url
from service.questions import Json, Question, Services
from service.views.layers import layer_json


def list_indexes(services: Services) -> Response:
    names = services.catalog.names()
    response = as_json(listing(whole(names), lambda name: _summary(services, name)))
    return etags.finish(request, response, etags.tag(response.get_data()), etags.REVALIDATE)


def get_index(question: Question) -> Json:
    index, links = question.index, question.links
    configuration = index.manifest.configuration
    return {
        "name": question.name,
        "generation": index.generation,
        "images": index.manifest.images,
        "classes": len(index.classes),
        "model": {
            "name": configuration.model,
            "weights_sha256": configuration.weights_digest,
            "precision": configuration.precision,
        },
        "preprocessing": configuration.preprocessing.to_json(),
        "layers": [layer_json(question, name) for name in index.layers],
        "output": output_layer(index),
        "outputs": _outputs(question),
        "links": {
            "self": links.index,
            "layers": links.layers(),
            "images": links.images(),
            "classes": links.classes(),
            "lookup": links.lookup(),
            "search": links.search(),
            "concept": links.concept(),
            "report": links.report(),
            **_answer_links(question),
        },
    }


def _outputs(question: Question) -> Json | None:
    """What is known of the network's outputs."""
    index = question.index
    layer = output_layer(index)
    if layer is None:
        return None
    outputs, told = named_outputs(index), index.manifest.told_outputs
    return {
        "kind": kind_of(index, layer) if told.kind is None else told.kind,
        "kind_is_told": told.kind is not None,
        "matched": outputs.matched,
        "unmatched": unmatched_classes(index, outputs),
    }


def _answer_links(question: Question) -> Json:
    """Only where they lead anywhere: the network's output is indexed, and classes stand for outputs."""
    try:
        outputs_of(question.index)
    except NotFound:
        return {}
    links = question.links
    return {"mistakes": links.mistakes(), "scores": links.scores(), "what_if": links.what_if()}


def _summary(services: Services, name: str) -> Json:
    own = {"links": {"index": index_url(request.script_root, name)}}
    try:
        return services.catalog.ask(name, lambda held: _counts(name, held)) | own
    except UnitscopeError as error:
        unknown = dict.fromkeys(("generation", "images", "layers", "classes"))
        return {"name": name, "ready": False, "detail": str(error), **unknown, **own}


def _counts(name: str, held: OpenGeneration) -> Json:
    index = held.index
    counts = {"images": index.manifest.images, "layers": len(index.layers), "classes": len(index.classes)}
    return {"name": name, "ready": True, "detail": None, "generation": index.generation, **counts}
