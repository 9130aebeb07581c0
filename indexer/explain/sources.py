"""What the rest of a network runs from, for images of an index: kept maps, or the originals."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from indexer.errors import Stopped
from indexer.explain.rest import Rest
from indexer.query.index import Index

Progress = Callable[[int, int], None]
"""Gets how much is done, and how much there is to do."""
Stop = Callable[[], bool]
"""Whether to stop; asked now and then."""


def silent(done: int, total: int) -> None:
    """Tells nobody of the progress."""


def never() -> bool:
    """Does not stop."""
    return False


def check_stop(stop: Stop) -> None:
    """End the work if this is wanted.

    Raises
    ------
    Stopped
    """
    if stop():
        raise Stopped("stopped before it was done; nothing was kept")


class Sources:
    """What a rest runs from, for rows of an index's images.

    Parameters
    ----------
    kept : bool
        Read the maps that the index keeps, rounded to float16, where the rest starts from maps; else send the originals
        through the network.

    Attributes
    ----------
    from_kept : bool
        Whether kept maps are read.
    """

    def __init__(self, index: Index, rest: Rest, kept: bool) -> None:
        self._index, self._rest = index, rest
        self.from_kept = kept and rest.start is not None

    @property
    def way(self) -> str:
        """What is read, and from where the network runs, in words."""
        start = self._rest.start
        if self.from_kept:
            said = f"from kept maps of {start}"
        else:
            said = "from the originals" if start is None else f"from the originals, by way of {start}"
        return f"{said}: {self._rest.reason}" if self._rest.reason else said

    def of(self, rows: Sequence[int]) -> np.ndarray:
        """The source (n, …) of some rows of the image table, at most `Rest.rows`.

        Raises
        ------
        ImageUnavailable
            An original is gone or changed.
        """
        return self._run_up(self._read(rows))

    def batches(self, rows: np.ndarray, stop: Stop = never) -> Iterator[tuple[slice, np.ndarray]]:
        """The sources of many rows, a batch at a time; the next is read meanwhile.

        Raises
        ------
        ImageUnavailable, Stopped
        """
        size = self._rest.rows
        parts = [slice(first, min(first + size, len(rows))) for first in range(0, len(rows), size)]
        with ThreadPoolExecutor(1) as reader:
            following = reader.submit(self._read, rows[parts[0]].tolist()) if parts else None
            for number, part in enumerate(parts):
                check_stop(stop)
                assert following is not None
                read = following.result()
                if number + 1 < len(parts):
                    following = reader.submit(self._read, rows[parts[number + 1]].tolist())
                yield part, self._run_up(read)

    def _read(self, rows: Sequence[int]) -> np.ndarray:
        ids = [int(self._index.images.id[row]) for row in rows]
        if self.from_kept:
            return np.stack([self._index.activation_maps(id, self._rest.start or "") for id in ids])
        preprocessing = self._index.manifest.configuration.preprocessing
        return np.stack([preprocessing.pixels(self._index.picture(self._index.image(id))) for id in ids])

    def _run_up(self, read: np.ndarray) -> np.ndarray:
        return read if self.from_kept else self._rest.source(read)


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of some rows, at equal distances: a sample that is the same each time."""
    count = min(most, len(rows))
    return rows[np.arange(count) * len(rows) // max(count, 1)]
