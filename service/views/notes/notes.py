"""What people write about neurons, units, directions, images and classes."""

from typing import Any

from flask import Response, g

from indexer.errors import InvalidRequest, NotFound
from service.handlers import as_json
from service.http.current import current_request
from service.http.etags import REVALIDATE, tag
from service.http.etags import finish as finish_tagged
from service.http.paging import cut, link_header, listing
from service.http.revisions import finish, seen_revision
from service.indexes.generations import OpenGeneration
from service.notes import finding
from service.notes.about.markdown import to_html
from service.notes.about.records import Change, Note
from service.notes.about.subjects import DIRECTION, IMAGE, KINDS, LIST, direction_digest
from service.notes.store import EDIT
from service.payloads import notes as payloads
from service.payloads.links import index_url
from service.questions import Json, Services, question_of
from service.views.notes.subjects import Located, found_again, locate, located


def get_note(services: Services, index: str, **named: Any) -> Response:
    about = _about(services, index, named)
    return _answer(about, _known(services, about))


def put_note(services: Services, index: str, name: str | None, text: str, tags: list[str], **named: Any) -> Response:
    about = _about(services, index, named)
    seen = seen_revision(current_request())
    _known(services, about)
    fields = {"name": tidy(name), "text": text, "tags": list(dict.fromkeys(filter(None, map(tidy, tags))))}
    return _answer(about, services.notes.write(about.subject, seen, author(), **fields))


def vote_on_note(services: Services, index: str, vote: int, **named: Any) -> Response:
    about = _about(services, index, named)
    return _answer(about, services.notes.vote(about.subject, seen_revision(current_request()), author(), vote))


def restore_note(services: Services, index: str, revision: int, **named: Any) -> Response:
    about = _about(services, index, named)
    seen = seen_revision(current_request())
    return _answer(about, services.notes.restore(about.subject, seen, author(), revision))


def list_note_changes(services: Services, index: str, limit: int, offset: int, **named: Any) -> Response:
    about = _about(services, index, named)
    history = services.notes.history(about.subject)
    return page_of_changes(history, limit, offset, payloads.state)


def list_notes(services: Services, index: str, kind: str | None, limit: int, offset: int) -> Response:
    request = current_request()
    kinds = [each for each in KINDS if each not in (LIST, IMAGE)] if kind is None else [kind]

    def from_generation(held: OpenGeneration) -> Json:
        question = question_of(request, index, held, services)
        scopes = [held.index.manifest.configuration.weights_digest, index]
        found, total = finding.latest(services.notes, kinds, None if kind == IMAGE else scopes, limit, offset)
        items = [(note, found_again(question.index, question.links, index, note.subject)) for note in found]
        shown = [note_json(about, note) for note, about in items if about is not None]
        return {"items": shown, "total": total, "limit": limit, "offset": offset}

    with services.time():
        body = services.catalog.ask(index, from_generation)
    return page(body)


def name_direction(services: Services, index: str, layer: str, weights: dict[str, float]) -> Response:
    by_number = {int(neuron): weight for neuron, weight in weights.items() if weight}

    def from_generation(held: OpenGeneration) -> Located:
        question = question_of(current_request(), index, held, services)
        for neuron in by_number:
            held.index.layer(layer).check_neuron(neuron)
        direction = direction_digest(by_number)
        return locate(held.index, question.links, index, {"layer": layer, "direction": direction})

    if not by_number:
        raise InvalidRequest("a direction needs a weight that is not 0")
    about = services.catalog.ask(index, from_generation)
    data = {"weights": {str(neuron): by_number[neuron] for neuron in sorted(by_number)}}
    return _answer(about, services.notes.change(about.subject, None, author(), EDIT, lambda note: note.state, data))


def author() -> str | None:
    """Who writes: the name of the request's token."""
    name: str | None = g.get("token")
    return name


def tidy(text: str | None) -> str | None:
    """A short text on one line; None where nothing is left."""
    return " ".join((text or "").split()) or None


def note_json(about: Located, note: Note) -> Json:
    """A note with its subject and links."""
    index = index_url(current_request().script_root, about.index)
    weights = {} if note.data is None else {"weights": note.data["weights"]}
    return {
        "about": about.about | weights, **payloads.state(note.state), "html": to_html(note.state["text"]),
        "revision": note.revision, "author": note.author, "time": payloads.moment(note.time),
        "links": payloads.links(index, about.query, about.link),
    }  # fmt: skip


def page_of_changes(history: list[Change], limit: int, offset: int, shown: Any) -> Response:
    """A page of changes, newest first; ``shown`` makes JSON of a state."""

    def change(one: Change) -> Json:
        return payloads.change(one.revision, one.what, one.author, one.time, shown(one.before), shown(one.after))

    return page(listing(cut(history, limit, offset), change))


def page(body: Json) -> Response:
    """A page of a list that may be another the next time."""
    request, response = current_request(), as_json(body)
    response.headers["Link"] = link_header(request, body, None)
    return finish_tagged(request, response, tag(response.get_data()), REVALIDATE)


def _about(services: Services, index: str, named: Json) -> Located:
    named["class"] = named.pop("class_")
    return located(services, index, named)


def _known(services: Services, about: Located) -> Note:
    note = services.notes.get(about.subject)
    if about.subject.kind == DIRECTION and note.data is None:
        raise NotFound("there is no direction of this name here; POST its weights to the index's directions first")
    return note


def _answer(about: Located, note: Note) -> Response:
    return finish(current_request(), as_json(note_json(about, note)), note.revision)
