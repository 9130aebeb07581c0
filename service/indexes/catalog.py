"""Which indexes are served, and the generation of each that is open.

1. ``catalog = Catalog(directory, open_index, check_seconds)``; nothing is opened yet.
2. ``catalog.ask(name, question)`` calls ``question`` with one open generation. A generation that is replaced meanwhile
   is closed when its last question is answered.
"""

import hashlib
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from indexer.errors import DamagedFile, NotAnIndex, NotFound, StorageUnavailable, UnitscopeError
from indexer.index import layout, manifest
from indexer.query import deadline
from indexer.query.index import Index
from indexer.store.remote import RemotePath
from service.errors import GenerationReplaced, IndexUnavailable
from service.indexes.backoff import Backoff
from service.telemetry import metrics

log = logging.getLogger(__name__)

T = TypeVar("T")
OpenIndex = Callable[[Path], Index]
Stamp = tuple[object, ...]
_NAMES_IN_ERROR = 20
_REOPEN_CHECKS = 10
"""A damaged generation is opened anew at most every so many checks for a newer one."""


@dataclass
class OpenGeneration:
    """An open generation.

    Attributes
    ----------
    index : Index
    state : str
        Digest of the manifest: the same for the same generation wherever it is served, another for any other.
    network : str
        Digest of what decides an activation: the same for every generation.
    size : int
        Bytes of the files of the generation.
    mapped : dict of str to int
        Those that may be mapped into memory, and their sizes in bytes.
    serial : int
        Another one each time, also when the same generation is opened anew because its files changed.
    uses : int
        Leases under way.
    retired : bool
        Replaced by another generation, to be closed after the last lease.
    """

    index: Index
    state: str
    network: str
    size: int
    mapped: dict[str, int]
    serial: int = field(default_factory=itertools.count(1).__next__)
    uses: int = 0
    retired: bool = False

    def still_shows_all_of(self, older: "OpenGeneration") -> bool:
        """Whether all that an older generation shows is still to be shown."""
        mine, other = self.index.manifest, older.index.manifest
        return (
            mine.generation > other.generation
            and set(mine.removed) <= set(other.removed)
            and {shard.file for shard in other.shards} <= {shard.file for shard in mine.shards}
        )


class ServedIndex:
    """One index: the directory, and the generation of it that is open.

    The one before stays open too, for those who ask for it by number, unless images were removed since.
    """

    def __init__(self, path: Path, open_index: OpenIndex, check_seconds: float) -> None:
        self._path = path
        self._open_index = open_index
        self._check_seconds = check_seconds
        self._lock = threading.Lock()
        self._checking = threading.Lock()
        self._held: OpenGeneration | None = None
        self._before: OpenGeneration | None = None
        self._failure: UnitscopeError = IndexUnavailable("the index is not open yet")
        self._stamp: Stamp | None = None
        self._check_at = 0.0
        self._reopen_at = 0.0
        self._quiet_until = 0.0
        self._backoff = Backoff(path)

    @contextmanager
    def lease(self, generation: int | None = None) -> Iterator[OpenGeneration]:
        held = self._take(generation)
        try:
            yield held
        finally:
            self._give_back(held)

    def replaced(self, held: OpenGeneration) -> bool:
        """Whether there is another to ask than this one, which turned out damaged.

        A newer generation is looked for at once. Without one, the same is opened anew from time to time: it may have
        been repaired.
        """
        with self._checking:
            self._check()
            if self._held is held and time.monotonic() >= self._reopen_at:
                self._stamp = None
                self._check()
            return self._held is not None and self._held is not held

    def close(self) -> None:
        self._replace(None, IndexUnavailable("the index is no longer served"), None)

    def _take(self, generation: int | None) -> OpenGeneration:
        with deadline.paused():  # opening may take long, and is not the question's fault
            self._check_if_due()
        if generation is not None and self._held is not None and generation > self._held.index.generation:
            with self._checking:  # another replica serves it already
                self._check()
        with self._lock:
            if self._held is None:
                raise self._failure
            held = self._held if generation is None else self._of_generation(generation)
            held.uses += 1
            return held

    def _of_generation(self, generation: int) -> OpenGeneration:
        for held in (self._held, self._before):
            if held is not None and held.index.generation == generation:
                return held
        raise GenerationReplaced(
            f"generation {generation} of the index is not served, {self._held.index.generation} is; "
            "start the list again without a generation"
        )

    def _give_back(self, held: OpenGeneration) -> None:
        with self._lock:
            held.uses -= 1
            unused = held.retired and held.uses == 0
        if unused:
            held.index.close()

    def _check_if_due(self) -> None:
        if time.monotonic() < self._check_at:
            return
        # While one request looks, and perhaps opens, the others go on with what is open.
        if self._checking.acquire(blocking=self._held is None):
            try:
                if time.monotonic() >= self._check_at:
                    self._check()
                    self._check_at = max(time.monotonic() + self._check_seconds, self._quiet_until)
            finally:
                self._checking.release()

    def _check(self) -> None:
        stamp: Stamp | None = None
        try:
            stamp = manifest.stamp(self._path)
            if (stamp != self._stamp and not self._backoff.waits(stamp)) or self._is_cut():
                self._replace(*self._open(stamp))
                self._backoff.succeeded()
                metrics.GENERATIONS.inc()
        except NotAnIndex:
            self._replace(None, IndexUnavailable("the index is gone, or not published yet"), None)
        except StorageUnavailable as error:
            log.warning("index %s: %s", self._path.name, error)
            self._quiet_until = time.monotonic() + _REOPEN_CHECKS * self._check_seconds
            if self._held is None:  # what is open goes on answering
                self._replace(None, error, None)
        except UnitscopeError as error:
            self._refuse(stamp, error)
        except OSError as error:
            self._refuse(stamp, DamagedFile(layout.MANIFEST, f"cannot be read ({os.strerror(error.errno or 0)})"))

    def _refuse(self, stamp: Stamp | None, error: UnitscopeError) -> None:
        seconds = self._backoff.failed(stamp, error.file if isinstance(error, DamagedFile) else "")
        log.warning("index %s cannot be opened (%s); tried again in %g s", self._path.name, error, seconds)
        self._replace(None, error, None)

    def _is_cut(self) -> bool:
        """Whether a mapped file of the open generation has lost bytes; to read those would end the process.

        One that is gone altogether can still be read.
        """
        sizes = self._held.mapped if self._held else {}
        return any(_bytes(file) < size for file, size in sizes.items() if os.path.exists(file))

    def _open(self, stamp: Stamp) -> tuple[OpenGeneration, UnitscopeError, Stamp]:
        while True:
            try:
                index = self._open_index(self._path)
            except DamagedFile:
                # The files of a generation go when two newer ones are there: then this was not damage.
                before, stamp = stamp, manifest.stamp(self._path)
                if stamp == before:
                    raise
            else:
                self._reopen_at = time.monotonic() + _REOPEN_CHECKS * self._check_seconds
                return _hold(index), self._failure, stamp

    def _replace(self, held: OpenGeneration | None, failure: UnitscopeError, stamp: Stamp | None) -> None:
        with self._lock:
            open_ = [old for old in (self._held, self._before) if old is not None]
            keep = held is not None and self._held is not None and held.still_shows_all_of(self._held)
            self._before = self._held if keep else None
            self._held, self._failure, self._stamp = held, failure, stamp
            gone = [old for old in open_ if old is not self._before]
            for old in gone:
                old.retired = True
            unused = [old for old in gone if old.uses == 0]
        for old in unused:
            old.index.close()


class Catalog:
    """All indexes under a directory, by name; a directory that is itself an index holds that one only."""

    def __init__(self, directory: Path, open_index: OpenIndex, check_seconds: float) -> None:
        self._directory = directory.resolve()
        self._open_index = open_index
        self._check_seconds = check_seconds
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._served: dict[str, ServedIndex] = {}
        self._single = False
        self._list_at = 0.0

    def ask(self, name: str, question: Callable[[OpenGeneration], T], generation: int | None = None) -> T:
        """What a question gives on one open generation of an index, by default the newest.

        A generation that was replaced loses its files, and a damaged one may have been repaired, so a question that
        fails on damage may be asked once more.

        Raises
        ------
        NotFound
            No such index.
        GenerationReplaced
            The generation asked for is not open.
        IndexUnavailable, DamagedFile
            It cannot be opened now.
        """
        place = self._served_index(name)
        with place.lease(generation) as held:
            try:
                return question(held)
            except DamagedFile:
                if not place.replaced(held):
                    raise
        with place.lease(generation) as newer:
            return question(newer)

    def names(self) -> list[str]:
        """The indexes served, sorted.

        Raises
        ------
        IndexUnavailable
            The directory cannot be read.
        """
        # One looks, which takes long where storage does not answer; the others go on with what is known, if anything.
        if time.monotonic() >= self._list_at and self._looking.acquire(blocking=not self._served):
            try:
                if time.monotonic() >= self._list_at:
                    self._list_at = self._update_if_there()
            finally:
                self._looking.release()
        with self._lock:
            return sorted(self._served)

    def close(self) -> None:
        """Close every index once its leases have ended."""
        with self._lock:
            for place in self._served.values():
                place.close()
            self._served.clear()

    def _served_index(self, name: str) -> ServedIndex:
        names = self.names()
        with self._lock:
            place = self._served.get(name)
        if place is None:
            raise NotFound(f"there is no index {name[:100]!r}; {_listing(names)}")
        return place

    def _update_if_there(self) -> float:
        """When to look again."""
        try:
            self._update()
        except StorageUnavailable:
            if not self._served:
                raise
            return time.monotonic() + _REOPEN_CHECKS * self._check_seconds
        return time.monotonic() + self._check_seconds

    def _update(self) -> None:
        paths = {path.name or "index": path for path in self._paths()}
        with self._lock:
            for name in self._served.keys() - paths.keys():
                self._served.pop(name).close()
            for name in paths.keys() - self._served.keys():
                self._served[name] = ServedIndex(paths[name], self._open_index, self._check_seconds)

    def _paths(self) -> list[Path]:
        self._single = self._single or layout.manifest_path(self._directory).is_file()
        if self._single:
            return [self._directory]
        try:
            return [path for path in self._directory.iterdir() if _is_index(path)]
        except OSError as error:
            raise IndexUnavailable("the directory of the indexes cannot be read") from error


def _is_index(path: Path) -> bool:
    printable = path.name.isprintable()  # a name that is not UTF-8 could not stand in a URL
    return printable and not path.name.startswith(".") and layout.manifest_path(path).is_file()


def _listing(names: list[str]) -> str:
    if not names:
        return "there are none yet"
    more = f" and {len(names) - _NAMES_IN_ERROR} more" if len(names) > _NAMES_IN_ERROR else ""
    return f"there are {', '.join(names[:_NAMES_IN_ERROR])}{more}"


def _hold(index: Index) -> OpenGeneration:
    state = hashlib.sha256(json.dumps(index.manifest.to_json(), sort_keys=True).encode()).hexdigest()
    if isinstance(index.path, RemotePath):  # nothing is mapped, and each size would be a request
        return OpenGeneration(index, state, index.manifest.configuration.digest, 0, {})
    mapped = {str(index.path / file): _bytes(index.path / file) for file in index.manifest.derived.values()}
    size = sum(mapped.values()) + sum(_bytes(index.path / shard.file) for shard in index.manifest.shards)
    return OpenGeneration(index, state, index.manifest.configuration.digest, size, mapped)


def _bytes(path: str | Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
