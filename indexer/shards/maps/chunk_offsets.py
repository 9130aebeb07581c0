"""Where in its file each chunk of a dataset lies.

To find one chunk, HDF5 goes through all chunks before it. To list all chunks, it makes one pass that takes as long as
some forty such searches. So the first chunks are looked up one by one; a caller who needs more gets the full list.
"""

from typing import NamedTuple

import h5py
import numpy as np

ONE_BY_ONE = 40
"""Chunks of a dataset that are asked for one by one."""


class Extent(NamedTuple):
    """Where a chunk lies: offset and size in bytes; bit i of ``mask`` is set where filter i was left out."""

    offset: int
    size: int
    mask: int


class ChunkOffsets:
    """Extents of the chunks of a dataset that is divided along its first dimension only. Not thread-safe."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._id, self._rest = dataset.id, (0,) * (dataset.ndim - 1)
        self._asked = 0
        self._begins: np.ndarray | None = None  # (chunks,) int64, ascending
        self._extents = np.empty((0, 3), np.int64)

    def find(self, begin: int) -> Extent | None:
        """The extent of the chunk that begins with this row; None if it was never written.

        Raises
        ------
        OSError, RuntimeError, ValueError
            The file is damaged.
        """
        if self._begins is None and self._asked < ONE_BY_ONE:
            self._asked += 1
            info = self._id.get_chunk_info_by_coord((begin, *self._rest))
            return None if info.byte_offset is None else Extent(info.byte_offset, info.size, info.filter_mask)
        begins = self._read() if self._begins is None else self._begins
        number = int(np.searchsorted(begins, begin))
        if number == len(begins) or begins[number] != begin:
            return None
        return Extent(*self._extents[number].tolist())

    def _read(self) -> np.ndarray:
        chunks: list[tuple[int, int, int, int]] = []

        def note(chunk: h5py.h5d.StoreInfo) -> None:
            chunks.append((chunk.chunk_offset[0], chunk.byte_offset, chunk.size, chunk.filter_mask))

        self._id.chunk_iter(note)
        try:
            table = np.array(sorted(chunks), np.int64).reshape(-1, 4)
        except OverflowError as error:
            raise ValueError("its list of chunks names impossible offsets") from error
        self._begins, self._extents = table[:, 0].copy(), table[:, 1:].copy()
        return self._begins
