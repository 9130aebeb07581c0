"""What a request is about -> the subject of a note, and where the subject is shown."""

from dataclasses import dataclass

from indexer.errors import InvalidRequest, NotFound
from indexer.query.index import Index
from service.http.current import current_request
from service.indexes.generations import OpenGeneration
from service.notes.about.naming import called, subject_of
from service.notes.about.subjects import Subject
from service.payloads.links import Links
from service.questions import Json, Services, question_of


@dataclass(frozen=True)
class Located:
    """A subject, the index in which it is named, and what it is called there.

    Attributes
    ----------
    about : dict
        Kind, layer, neuron and so on.
    link : str
        The URL of the subject, or of what shows it.
    query : dict
        The parameters that name it.
    """

    subject: Subject
    index: str
    about: Json
    link: str
    query: Json


def located(services: Services, index: str, named: Json) -> Located:
    """The subject that the parameters ``layer``, ``neuron``, ``y``, ``x``, ``direction``, ``image`` and ``class`` name.

    Raises
    ------
    NotFound, InvalidRequest
        As `service.notes.about.naming.subject_of`.
    """
    given = {name: value for name, value in named.items() if value is not None}

    def from_generation(held: OpenGeneration) -> Located:
        question = question_of(current_request(), index, held, services)
        return locate(question.index, question.links, index, given)

    return services.catalog.ask(index, from_generation)


def locate(index: Index, links: Links, name: str, given: Json) -> Located:
    """As `located`, in an open index."""
    subject, about = subject_of(index, name, given)
    query = {"class": about["class"]} if "class" in given else given  # as the index spells it
    return Located(subject, name, about, _link(links, about), query)


def named_by(about: Json) -> Json:
    """The parameters that name what is called so, as `located` takes them."""
    if "image" in about:
        return {"image": about["image"]}
    given = {name: value for name, value in about.items() if name not in ("kind", "cell")}
    given.update(about.get("cell", {}))
    return given


def found_again(index: Index, links: Links, name: str, subject: Subject) -> Located | None:
    """A subject in an open index; None where the index does not have it."""
    try:
        given = called(index, name, subject)
        return None if given is None else locate(index, links, name, given)
    except (NotFound, InvalidRequest):
        return None


def _link(links: Links, about: Json) -> str:
    if "image" in about:
        return f"{links.images()}/{about['image']}"
    if "layer" not in about:
        return links.class_(about["class"])
    if "neuron" not in about:
        return links.layer(about["layer"])
    own = about["layer"], about["neuron"]
    cell = about.get("cell")
    return links.neuron(*own) if cell is None else f"{links.patches(*own)}?y={cell['y']}&x={cell['x']}"
