"""Indexes are opened here once another process has read them without harm."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from indexer.errors import DamagedFile, NotAnIndex
from indexer.index import layout
from indexer.query.index import Index
from indexer.query.sandbox import examine
from indexer.store.storage import Location, storage_at
from service.indexes.backoff import file_stamp

Stamp = tuple[object, ...]


class Examined:
    """Opens an index; the first time that it is seen, after `indexer.query.sandbox`.

    Its later generations come from the same maker, and are opened as they are.

    Parameters
    ----------
    shared : Path, optional
        A folder in which the processes of this service tell each other what they have examined.
    """

    def __init__(self, open_index: Callable[[Location], Index], shared: Path | None) -> None:
        self._open_index = open_index
        self._shared = shared
        self._seen: set[str] = set()
        self._refused: dict[str, tuple[Stamp, DamagedFile]] = {}

    def __call__(self, path: Location) -> Index:
        """Open an index.

        Raises
        ------
        NotAnIndex, DamagedFile
        """
        stamp = _stamp(path)
        name = hashlib.sha256(f"{path} {stamp[0]}".encode(errors="surrogateescape")).hexdigest()
        if name not in self._seen and not self._told(name):
            self._examine(path, name, stamp)
        self._seen.add(name)
        return self._open_index(path)

    def _told(self, name: str) -> bool:
        return self._shared is not None and (self._shared / f"examined-{name}").exists()

    def _examine(self, path: Location, name: str, stamp: Stamp) -> None:
        refused = self._refused.get(name)
        if refused and refused[0] == (stamp, file_stamp(path, refused[1].file)):  # nothing has changed since
            raise DamagedFile(refused[1].file, refused[1].cause)
        try:
            examine(path)
        except DamagedFile as error:
            self._refused[name] = (stamp, file_stamp(path, error.file)), error
            raise
        if self._shared is not None:
            (self._shared / f"examined-{name}").touch()


def _stamp(path: Location) -> Stamp:
    """The state of a path: its first part differs for another folder put there, the rest for another generation."""
    try:
        manifest = storage_at(layout.manifest_path(path)).fingerprint()
        return storage_at(path).identity(), *manifest
    except FileNotFoundError as error:
        raise NotAnIndex(f"{path.name} holds no index") from error
