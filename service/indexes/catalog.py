"""Which indexes are served, by name.

1. ``catalog = Catalog(directory, open_index, check_seconds)``; nothing is opened yet.
2. ``catalog.ask(name, question)`` calls ``question`` with one open generation. A generation that is replaced meanwhile
   is closed when its last question is answered.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from indexer.errors import DamagedFile, NotFound, StorageUnavailable
from indexer.index import layout
from indexer.store.storage import Location
from service.errors import IndexUnavailable
from service.indexes.generations import OpenGeneration
from service.indexes.lookout import Lookout
from service.indexes.served_index import RARELY, OpenIndex, ServedIndex

T = TypeVar("T")
_NAMES_IN_ERROR = 20


class Catalog:
    """All indexes under a directory, by name; a directory that is itself an index holds that one only."""

    def __init__(self, directory: Location, open_index: OpenIndex, check_seconds: float) -> None:
        self._directory = directory.resolve()
        self._open_index = open_index
        self._check_seconds = check_seconds
        self._lookout = Lookout(self._look)
        self._lock = threading.Lock()
        self._served: dict[str, ServedIndex] = {}
        self._single = False

    def ask(self, name: str, question: Callable[[OpenGeneration], T], generation: int | None = None) -> T:
        """What a question gives on one open generation of an index, by default the newest; see `ask_several`."""
        return self._ask([self._served_index(name)], lambda held: question(*held), generation)

    def ask_several(self, names: Sequence[str], question: Callable[[Sequence[OpenGeneration]], T]) -> T:
        """What a question gives on the newest generations of several indexes, in the order of their names.

        A generation that was replaced loses its files, and a damaged one may have been repaired, so a question that
        fails on damage may be asked once more.

        Raises
        ------
        NotFound
            No such index.
        GenerationReplaced
            The generation asked for is not open.
        IndexUnavailable, DamagedFile
            One cannot be opened now.
        """
        return self._ask([self._served_index(name) for name in names], question, None)

    @staticmethod
    def _ask(
        indexes: Sequence[ServedIndex], question: Callable[[Sequence[OpenGeneration]], T], generation: int | None
    ) -> T:
        with _leases(indexes, generation) as held:
            try:
                return question(held)
            except DamagedFile:
                replaced = [index.replaced(damaged) for index, damaged in zip(indexes, held, strict=True)]
                if not any(replaced):
                    raise
        with _leases(indexes, generation) as newer:
            return question(newer)

    def names(self) -> list[str]:
        """The indexes served, sorted.

        Raises
        ------
        IndexUnavailable
            The directory cannot be read.
        """
        self._lookout.look_if_due(wait=not self._served)  # where storage does not answer, that takes long
        with self._lock:
            return sorted(self._served)

    def close(self) -> None:
        """Close every index once its leases have ended."""
        with self._lock:
            for served in self._served.values():
                served.close()
            self._served.clear()

    def _served_index(self, name: str) -> ServedIndex:
        names = self.names()
        with self._lock:
            served = self._served.get(name)
        if served is None:
            raise NotFound(f"there is no index {name[:100]!r}; {_listing(names)}")
        return served

    def _look(self) -> float:
        """Take up indexes that are new, drop those that are gone; gives the seconds until the next look."""
        try:
            self._update()
        except StorageUnavailable:
            if not self._served:
                raise
            return RARELY * self._check_seconds
        return self._check_seconds

    def _update(self) -> None:
        paths = {path.name or "index": path for path in self._paths()}
        with self._lock:
            for name in self._served.keys() - paths.keys():
                self._served.pop(name).close()
            for name in paths.keys() - self._served.keys():
                self._served[name] = ServedIndex(paths[name], self._open_index, self._check_seconds)

    def _paths(self) -> list[Location]:
        self._single = self._single or layout.manifest_path(self._directory).is_file()
        if self._single:
            return [self._directory]
        try:
            return [path for path in self._directory.iterdir() if _is_index(path)]
        except OSError as error:
            raise IndexUnavailable("the directory of the indexes cannot be read") from error


@contextmanager
def _leases(indexes: Sequence[ServedIndex], generation: int | None) -> Iterator[list[OpenGeneration]]:
    with ExitStack() as stack:
        yield [stack.enter_context(index.lease(generation)) for index in indexes]


def _is_index(path: Location) -> bool:
    printable = path.name.isprintable()  # a name that is not UTF-8 could not stand in a URL
    return printable and not path.name.startswith(".") and layout.manifest_path(path).is_file()


def _listing(names: list[str]) -> str:
    if not names:
        return "there are none yet"
    more = f" and {len(names) - _NAMES_IN_ERROR} more" if len(names) > _NAMES_IN_ERROR else ""
    return f"there are {', '.join(names[:_NAMES_IN_ERROR])}{more}"
