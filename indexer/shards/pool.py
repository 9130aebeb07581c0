"""The shards of an index, of which only so many files are open at a time."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from indexer.errors import DamagedFile
from indexer.shards.reader import Shard
from indexer.store.remote import RemotePath

OPEN_AT_MOST = 128


class ShardPool:
    """Opens shards when they are asked for; those that were not for the longest time close. Safe from any thread.

    As many local shards as may be open are opened at once: a newer generation may delete their files.
    """

    def __init__(self, index: Path | RemotePath, files: Sequence[str]) -> None:
        self._index, self._files = index, files
        self._lock = threading.Lock()
        self._open: OrderedDict[int, Shard] = OrderedDict()
        for number in range(0 if isinstance(index, RemotePath) else min(len(files), OPEN_AT_MOST)):
            try:
                self.shard(number)
            except DamagedFile:
                continue  # said when it is asked for: questions that need no maps are answered all the same

    def shard(self, number: int) -> Shard:
        """The shard at a place of the manifest's list.

        It closes when nobody holds it any longer and others were asked for more recently.

        Raises
        ------
        DamagedFile, StorageUnavailable
        """
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
        file = self._files[number]
        shard = Shard(self._index / file, file)
        with self._lock:
            shard = self._open.setdefault(number, shard)
            if len(self._open) > OPEN_AT_MOST:
                self._open.popitem(last=False)
            return shard

    def close(self) -> None:
        """Close those that are open."""
        with self._lock:
            for shard in self._open.values():
                shard.close()
            self._open.clear()
