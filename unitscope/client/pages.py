"""Lists that fetch themselves: page by page, as far as one reads."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from indexer.errors import NotInstalled

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T")
PAGE = 100


class Pages(Generic[T]):
    """The items of a list of the API, each a record.

    ::

        for patch in patches: ...    # fetches pages as it goes
        patches.first(5)             # at most five, in one request
        patches.total                # how many there are
        patches.to_pandas()          # all, as a table

    Parameters
    ----------
    fetch : callable
        ``fetch(limit, offset)`` gives a page of the API as JSON.
    make : callable
        Makes a record of an item.
    """

    def __init__(self, fetch: Callable[[int, int], dict[str, Any]], make: Callable[[dict[str, Any]], T]) -> None:
        self._fetch, self._make = fetch, make
        self._last: int | None = None

    def until(self, last: int) -> Self:
        """These, of a list whose last offset is ``last``: a page from there ends it."""
        self._last = last
        return self

    @property
    def total(self) -> int | None:
        """How many items there are; None where the service does not count them."""
        total: int | None = self._fetch(1, 0)["total"]
        return total

    def first(self, count: int) -> list[T]:
        """The first items, at most ``count``."""
        return list(islice(self._from(min(count, PAGE)), count)) if count > 0 else []

    def __iter__(self) -> Iterator[T]:
        return self._from(PAGE)

    def _from(self, size: int) -> Iterator[T]:
        offset = 0
        while True:
            items = self._fetch(size, offset)["items"]
            yield from map(self._make, items)
            offset += len(items)
            if len(items) < size or (self._last is not None and offset > self._last):
                return

    def to_pandas(self) -> "DataFrame":
        """All items as rows of a table, whose columns are the fields of the records except links.

        Raises
        ------
        NotInstalled
        """
        try:
            import pandas
        except ImportError as error:
            raise NotInstalled("tables need pandas, which is not installed") from error
        return pandas.DataFrame([_row(item) for item in self])


def _row(item: object) -> dict[str, object]:
    given = item if isinstance(item, dict) else vars(item)
    return {name: value for name, value in given.items() if name not in ("links", "_sees")}
