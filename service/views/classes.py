"""Classes of images."""

from indexer.errors import NotFound
from service.http.paging import cut, listing
from service.payloads import records
from service.questions import Json, Question


def list_classes(question: Question, limit: int, offset: int) -> Json:
    counts = list(question.index.class_counts().items())
    layers = told_apart_in(question)
    return listing(cut(counts, limit, offset), lambda entry: records.class_(question.links, *entry, layers))


def get_class(question: Question, class_: str) -> Json:
    index = question.index
    try:
        name = index.classes[index.images.code_of(class_)]
    except NotFound:
        raise NotFound(f"there is no class {class_[:100]!r}; {question.links.classes()} lists them all") from None
    return records.class_(question.links, name, index.class_counts()[name], told_apart_in(question))


def told_apart_in(question: Question) -> list[str]:
    """The layers whose neurons may tell classes apart: all of them, or none if there are fewer than two classes."""
    return list(question.index.layers) if len(question.index.classes) > 1 else []
