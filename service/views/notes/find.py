"""Whatever has a name: found by a part of it."""

from typing import Final
from urllib.parse import quote

from flask import Response

from indexer.query import finding as names
from service.handlers import as_json
from service.http import etags
from service.http.current import current_request
from service.indexes.generations import OpenGeneration
from service.notes import finding
from service.notes.about.records import Note
from service.notes.about.subjects import LIST
from service.questions import Json, Question, Services, question_of
from service.views.notes.subjects import found_again

TEXT: Final = "text"
"""The grade of what has all the words, in its text or apart."""
_GRADES: Final = (*names.GRADES, TEXT)
_IN: Final = {names.LAYER: "layer", names.CATEGORY: "category", names.CLASS: "class", names.IMAGE: "path"}
_MOST: Final = 200
_EXCERPT: Final = 120
_BEFORE: Final = 30


def find(services: Services, index: str, q: str, limit: int) -> Response:
    request = current_request()

    def from_generation(held: OpenGeneration) -> Json:
        question = question_of(request, index, held, services)
        written = _written(question, q)
        found = [*(written or []), *(_named(question, one) for one in names.find(held.index, q, _MOST))]
        ranked = sorted(found, key=lambda item: _GRADES.index(item["match"]))
        return {"items": ranked[:limit], "limit": limit, "more": len(ranked) > limit, "notes": written is not None}

    with services.time():
        response = as_json(services.catalog.ask(index, from_generation))
    return etags.finish(request, response, etags.tag(response.get_data()), etags.REVALIDATE)


def _named(question: Question, one: names.Found) -> Json:
    """What the index itself calls so."""
    links, about = question.links, {"layer": one.layer, "neuron": one.neuron, "image": one.image}
    if one.kind == names.CLASS:
        kind, about, url = "class", {"class": one.text}, links.class_(one.text)
    elif one.kind == names.IMAGE:
        kind, url = "image", f"{links.images()}/{one.image}"
    elif one.kind == names.CATEGORY:
        assert one.layer is not None
        assert one.neuron is not None
        kind, url = "neuron", links.neuron(one.layer, one.neuron)
    else:
        kind, url = "layer", links.layer(one.text)
    given = {name: value for name, value in about.items() if value is not None}
    return {"about": {"kind": kind, **given}, "text": one.text, "in": _IN[one.kind], "match": one.grade, "link": url}


def _written(question: Question, text: str) -> list[Json] | None:
    """What people wrote about the index, and their lists; None where notes cannot be asked now."""
    scopes = (question.index.manifest.configuration.weights_digest, question.name, "")
    found = finding.find_if_possible(question.services.notes, text, scopes, _MOST)
    if found is None:
        return None
    return [item for note in found if (item := _item(question, note, text)) is not None]


def _item(question: Question, note: Note, text: str) -> Json | None:
    where, shown, grade = _place(note, text)
    said = {"text": shown, "in": where, "match": grade}
    if note.subject.kind == LIST:
        url = f"{quote(question.request.script_root)}/v1/lists/{note.subject.item}"
        return {"about": {"kind": LIST, "list": note.subject.item}, **said, "link": url}
    about = found_again(question.index, question.links, question.name, note.subject)
    return None if about is None else {"about": about.about, **said, "link": about.link}


def _place(note: Note, text: str) -> tuple[str, str, str]:
    """Where a note holds the text, what stands there, and how it matches."""
    name = note.state["name"] or ""
    if grade := names.grade_of(name, text):
        return "name", name, grade
    for tag in note.state.get("tags", ()):
        if grade := names.grade_of(tag, text):
            return "tag", tag, grade
    return "note", name or _excerpt(note.state["text"], text), TEXT


def _excerpt(text: str, wanted: str) -> str:
    """A part of a text around the first of the words, on one line."""
    flat = " ".join(text.split())
    words = [word for word in wanted.casefold().split() if word in flat.casefold()]
    start = max(0, flat.casefold().find(words[0]) - _BEFORE) if words else 0
    cut = flat[start : start + _EXCERPT]
    return f"{'… ' if start else ''}{cut}{' …' if start + _EXCERPT < len(flat) else ''}"
