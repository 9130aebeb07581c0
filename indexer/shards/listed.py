"""A shard that a manifest lists, opened as one, in however many files its layers lie."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from indexer.errors import DamagedFile
from indexer.index.shard_info import ShardInfo
from indexer.shards.pool import open_at_most
from indexer.shards.reader import Shard
from indexer.shards.stored_layer import StoredLayer
from indexer.store.storage import Location


def open_listed(info: ShardInfo, at: Callable[[str], Location], configuration: str | None = None) -> Shard:
    """Open a shard.

    Parameters
    ----------
    info : ShardInfo
    at : callable
        Where a file of the index is now.
    configuration : str, optional
        The digest of the index's configuration. If it is given, files of other configurations are refused.

    Raises
    ------
    DamagedFile
        A file cannot be read, or is of another configuration, or holds other images than the manifest says. Their
        number differs for a moment when a repaired shard appears before its generation is published.
    """
    shard = (JoinedShard if info.parts else Shard)(at(info.file), info.file)
    try:
        _check(shard, info.rows, configuration and (info.configuration or configuration))
        if isinstance(shard, JoinedShard):
            for listed in info.parts:
                part = Shard(at(listed.file), listed.file)
                shard.join(part, listed.layers)
                _check(part, info.rows, configuration and listed.configuration)
                if not np.array_equal(part.ids, shard.ids):
                    raise DamagedFile(listed.file, f"holds other images than {info.file}")
    except BaseException:
        shard.close()
        raise
    return shard


def shards_at_once(shards: Sequence[ShardInfo]) -> int:
    """How many of these shards may be open at a time, given the files that each takes."""
    return max(1, open_at_most() // max([1, *(len(info.checksums) for info in shards)]))


def _check(shard: Shard, rows: int, configuration: str | None) -> None:
    if shard.rows != rows:
        raise DamagedFile(shard.name, f"holds {shard.rows} images, the manifest says {rows}")
    if configuration and shard.attributes.get("configuration") != configuration:
        raise DamagedFile(shard.name, "belongs to an index of another configuration")


class JoinedShard(Shard):
    """A shard some of whose layers are read from further files, which hold the same images."""

    def __init__(self, path: Location, name: str) -> None:
        super().__init__(path, name)
        self._parts: dict[str, Shard] = {}

    def join(self, part: Shard, layers: Iterable[str]) -> None:
        """Read these layers from another file, which is closed with this one."""
        self._parts |= dict.fromkeys(layers, part)

    def close(self) -> None:
        super().close()
        for part in self._parts.values():
            part.close()

    def layers(self) -> list[str]:
        return sorted({*super().layers(), *(layer for part in self._parts.values() for layer in part.layers())})

    def stored(self, layer: str) -> StoredLayer:
        part = self._parts.get(layer)
        return super().stored(layer) if part is None else part.stored(layer)
