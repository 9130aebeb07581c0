"""The open generations of one index, and who uses them.

1. ``generations = Generations()``; nothing is open yet.
2. ``generations.replace(OpenGeneration.of(index))`` makes a generation the newest; ``withdraw(reason)`` leaves none.
3. ``with generations.lease() as held:`` uses the newest. Whatever replaces it meanwhile, it is closed only afterwards.
"""

import hashlib
import itertools
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from indexer.errors import UnitscopeError
from indexer.query.index import Index
from indexer.store.storage import storage_at
from service.errors import GenerationReplaced, IndexUnavailable


@dataclass(eq=False)
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
        The files that may be mapped into memory, and their sizes in bytes.
    serial : int
        Another number each time, also when the same generation is opened anew because its files changed.
    opened_at : float
        When it was opened, in seconds of `time.monotonic`.
    leases : int
        How many questions use it now.
    retired : bool
        Replaced by another generation, to be closed after the last lease.
    """

    index: Index
    state: str
    network: str
    size: int
    mapped: dict[str, int]
    serial: int = field(default_factory=itertools.count(1).__next__)
    opened_at: float = field(default_factory=lambda: time.monotonic())
    leases: int = 0
    retired: bool = False

    @classmethod
    def of(cls, index: Index) -> "OpenGeneration":
        """The generation that an index has open; not leased by anybody."""
        state = hashlib.sha256(json.dumps(index.manifest.to_json(), sort_keys=True).encode()).hexdigest()
        network = index.manifest.configuration.digest
        if storage_at(index.path).costs_requests:  # nothing is mapped, and each size would be a request
            return cls(index, state, network, 0, {})
        files = [str(index.path / file) for file in index.manifest.derived.values()]
        mapped = {file: _bytes(file) for file in files}
        size = sum(mapped.values()) + sum(_bytes(str(index.path / file)) for file in index.manifest.shard_checksums)
        return cls(index, state, network, size, mapped)

    def still_shows_all_of(self, older: "OpenGeneration") -> bool:
        """Whether this generation shows everything that an older one shows."""
        mine, other = self.index.manifest, older.index.manifest
        return (
            mine.generation > other.generation
            and set(mine.removed) <= set(other.removed)
            and {shard.file for shard in other.shards} <= {shard.file for shard in mine.shards}
        )

    def is_cut(self) -> bool:
        """Whether a mapped file has lost bytes since; reading those would end the process.

        A file that was deleted can still be read.
        """
        return any(_bytes(file) < size for file, size in self.mapped.items() if os.path.exists(file))


class Generations:
    """The open generations of one index. Safe from any thread.

    These are the newest, and the one before it for those who ask for it by number. The one before is not kept where
    images were removed since.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: OpenGeneration | None = None
        self._previous: OpenGeneration | None = None
        self._reason: UnitscopeError = IndexUnavailable("the index is not open yet")

    @property
    def newest(self) -> OpenGeneration | None:
        """The newest, to look at; only a lease keeps it open."""
        return self._newest

    @contextmanager
    def lease(self, number: int | None = None) -> Iterator[OpenGeneration]:
        """Use a generation, by default the newest; it stays open meanwhile.

        Raises
        ------
        UnitscopeError
            None is open, for the reason that was given.
        GenerationReplaced
            The generation of this number is not open.
        """
        with self._lock:
            held = self._of_number(number)
            held.leases += 1
        try:
            yield held
        finally:
            with self._lock:
                held.leases -= 1
                unused = _unused([held])
            _close(unused)

    def replace(self, newest: OpenGeneration) -> None:
        """Make a generation the newest."""
        with self._lock:
            keep = self._newest is not None and newest.still_shows_all_of(self._newest)
            unused = self._retire(self._previous, None if keep else self._newest)
            self._previous = self._newest if keep else None
            self._newest = newest
        _close(unused)

    def withdraw(self, reason: UnitscopeError) -> None:
        """Close every generation; those who ask for one get the reason."""
        with self._lock:
            unused = self._retire(self._previous, self._newest)
            self._previous = self._newest = None
            self._reason = reason
        _close(unused)

    def _of_number(self, number: int | None) -> OpenGeneration:
        if self._newest is None:
            raise self._reason
        for held in (self._newest, self._previous):
            if held is not None and number in (None, held.index.generation):
                return held
        raise GenerationReplaced(
            f"generation {number} of the index is not served, {self._newest.index.generation} is; "
            "start the list again without a generation"
        )

    @staticmethod
    def _retire(*replaced: OpenGeneration | None) -> list[OpenGeneration]:
        """Mark generations as replaced; gives those that nobody uses."""
        retired = [held for held in replaced if held is not None]
        for held in retired:
            held.retired = True
        return _unused(retired)


def _unused(generations: list[OpenGeneration]) -> list[OpenGeneration]:
    return [held for held in generations if held.retired and held.leases == 0]


def _close(generations: list[OpenGeneration]) -> None:
    """Close generations; not under the lock, since it may take long."""
    for held in generations:
        held.index.close()


def _bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
