"""Lists that people make: neurons, images and so on in an order, with a remark each."""

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

from flask import Response

from indexer.errors import UnitscopeError
from service.handlers import as_json
from service.http.current import current_request
from service.http.revisions import finish, seen_revision
from service.indexes.generations import OpenGeneration
from service.notes import finding
from service.notes.about.markdown import to_html
from service.notes.about.records import Note
from service.notes.about.subjects import LIST, Subject, of_list
from service.payloads import notes as payloads
from service.questions import Json, Services, question_of
from service.views.notes.notes import author, page, page_of_changes, tidy
from service.views.notes.subjects import found_again, located, named_by


def list_lists(services: Services, limit: int, offset: int) -> Response:
    found, total = finding.latest(services.notes, [LIST], None, limit, offset)
    return page({"items": [_summary(note) for note in found], "total": total, "limit": limit, "offset": offset})


def get_list(services: Services, list: str) -> Response:
    return _answer(services, services.notes.get(of_list(list)))


def put_list(services: Services, list: str, name: str | None, text: str, items: list[Json]) -> Response:
    seen = seen_revision(current_request())
    stored = cache(lambda: services.notes.get(of_list(list)).state["items"])
    fields = {"name": tidy(name), "text": text, "items": [_item(services, dict(item), stored) for item in items]}
    return _answer(services, services.notes.write(of_list(list), seen, author(), **fields))


def restore_list(services: Services, list: str, revision: int) -> Response:
    seen = seen_revision(current_request())
    return _answer(services, services.notes.restore(of_list(list), seen, author(), revision))


def list_list_changes(services: Services, list: str, limit: int, offset: int) -> Response:
    def shown(state: Json) -> Json:
        items = [_about(item) for item in state["items"]]
        return {"name": state["name"], "text": state["text"], "items": items}

    return page_of_changes(services.notes.history(of_list(list)), limit, offset, shown)


def _item(services: Services, item: Json, stored: Callable[[], list[Json]]) -> Json:
    """An item as it is kept; one of the list that its index does not have now stays what it is, so that others change.

    Parameters
    ----------
    stored : callable () -> list of dict
        Gives the items that the list has.
    """
    index, remark = item.pop("index"), item.pop("remark", "")
    named = {name: int(value) if type(value) is float else value for name, value in item.items()}
    try:
        about = located(services, index, named)
    except UnitscopeError:
        for known in stored():
            if (known["index"], named_by(known["about"])) == (index, named):
                return known | {"remark": remark}
        raise
    return {"index": index, "subject": about.subject.as_dict(), "about": about.about, "remark": remark}


def _about(item: Json) -> Json:
    return {"index": item["index"], "about": item["about"], "remark": item["remark"]}


def _summary(note: Note) -> Json:
    own = f"{quote(current_request().script_root)}/v1/lists/{note.subject.item}"
    return {
        "list": note.subject.item, "name": note.state["name"], "length": len(note.state["items"]),
        "revision": note.revision, "author": note.author, "time": payloads.moment(note.time),
        "links": {"self": own, "history": f"{own}/history", "restore": f"{own}/restore"},
    }  # fmt: skip


def _answer(services: Services, note: Note) -> Response:
    body = _summary(note) | {"text": note.state["text"], "html": to_html(note.state["text"])}
    body["items"] = [_shown(services, item) for item in note.state["items"]]
    return finish(current_request(), as_json(body), note.revision)


def _shown(services: Services, item: Json) -> Json:
    """An item as its index has it now; without links where that does not have it, or is not served."""
    index, subject = item["index"], Subject.from_dict(item["subject"])

    def from_generation(held: OpenGeneration) -> Any:
        question = question_of(current_request(), index, held, services)
        return found_again(held.index, question.links, index, subject), question.links.index

    try:
        found, url = services.catalog.ask(index, from_generation)
    except UnitscopeError:
        found = None
    if found is None:
        return _about(item) | {"links": None}
    links = {"subject": found.link, "note": payloads.note_url(url, found.query)}
    return _about(item) | {"about": found.about, "links": links}
