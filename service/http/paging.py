"""Lists and the links between their pages."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

from flask import Request

from indexer.query.records import Page

T = TypeVar("T")
DEEPEST: Final = 10_000
"""The highest offset into a list for which everything before it has to be found, and kept, each time."""
_PAGE: Final = ("generation", "limit", "offset")


class Walked(dict[str, Any]):
    """The JSON of a page of such a list."""


def listing(page: Page[T], shape: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    """The JSON of a page."""
    items = [shape(item) for item in page.items]
    return {"items": items, "total": page.total, "limit": page.limit, "offset": page.offset}


def walked(page: Page[T], shape: Callable[[T], dict[str, Any]]) -> Walked:
    """The JSON of a page of a list that may not be asked for beyond `DEEPEST`."""
    return Walked(listing(page, shape))


def cut(items: Sequence[T], limit: int, offset: int) -> Page[T]:
    """A page of a list that is all there."""
    return Page(list(items[offset : offset + limit]), len(items), limit, offset)


def whole(items: Sequence[T]) -> Page[T]:
    """A list that is always given on one page."""
    return Page(list(items), len(items), len(items), 0)


def link_header(request: Request, body: dict[str, Any], generation: int | None) -> str:
    """The value of ``Link`` for a list: first, prev, next and last, each where it is known and there is one.

    They lead to pages of this generation, if the list is one of a single index, and to none that would be refused.
    """
    limit, offset, total = body["limit"], body["offset"], body["total"]
    last = None if total is None else max((total - 1) // limit * limit, 0)
    pages = {"first": 0}
    if offset > 0:
        pages["prev"] = last if last is not None and offset >= total else max(offset - limit, 0)
    if len(body["items"]) == limit if total is None else offset + limit < total:
        pages["next"] = offset + limit
    if last is not None:
        pages["last"] = last
    if isinstance(body, Walked):
        pages = {name: start for name, start in pages.items() if start <= DEEPEST}
    url = _url(request, generation)
    return ", ".join(f'<{url}limit={limit}&offset={start}>; rel="{name}"' for name, start in pages.items())


def _url(request: Request, generation: int | None) -> str:
    """The URL of a list but for its last two parameters, the limit and the offset."""
    query = [(name, value) for name, value in request.args.items(multi=True) if name not in _PAGE]
    query += [] if generation is None else [("generation", str(generation))]
    path = quote(request.script_root + request.path, safe="/,")
    return f"{path}?{urlencode(query)}&" if query else f"{path}?"
