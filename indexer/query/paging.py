"""Parts of lists: at most ``limit`` items, from ``offset`` on."""

from typing import Protocol, Self, TypeVar

from indexer.errors import InvalidRequest


class _Rows(Protocol):
    def __getitem__(self, rows: slice, /) -> Self: ...


RowsT = TypeVar("RowsT", bound=_Rows)


def check_limit(limit: int) -> None:
    """Refuse to give nothing."""
    if limit < 1:
        raise InvalidRequest(f"limit must be at least 1, not {limit}")


def check_page(limit: int, offset: int) -> None:
    """Refuse a page of nothing, and one from before the first."""
    if limit < 1 or offset < 0:
        raise InvalidRequest(f"limit must be at least 1 and offset at least 0, not {limit} and {offset}")


def page_of(rows: RowsT, limit: int, offset: int) -> RowsT:
    check_page(limit, offset)
    return rows[offset : offset + limit]
