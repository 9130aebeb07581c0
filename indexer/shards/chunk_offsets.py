"""Where in its file each chunk of a dataset lies.

To find one chunk, HDF5 goes through all chunks before it. To list all chunks, it makes one pass that takes as long as
some forty such searches. So the first chunks are looked up one by one; a caller who needs more gets the full list.
"""

import h5py
import numpy as np

ONE_BY_ONE = 40
"""Chunks of a dataset that are asked for one by one."""


class ChunkOffsets:
    """Offsets of the chunks of a dataset (n, C, H, W) whose chunks hold whole maps. Not thread-safe."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._id, self._channels = dataset.id, dataset.shape[1]
        self._asked = 0
        self._begins: np.ndarray | None = None  # (chunks,) int64, ascending: row * C + channel
        self._extents = np.empty((0, 2), np.int64)  # offset and size of each, in bytes

    def find(self, row: int, channel: int) -> tuple[int, int] | None:
        """Offset and size, in bytes, of the chunk that begins with this row and channel; None if it was never written.

        Raises
        ------
        OSError, RuntimeError, ValueError
            The file is damaged.
        """
        if self._begins is None and self._asked < ONE_BY_ONE:
            self._asked += 1
            info = self._id.get_chunk_info_by_coord((row, channel, 0, 0))
            return None if info.byte_offset is None else (info.byte_offset, info.size)
        begins = self._read() if self._begins is None else self._begins
        begin = row * self._channels + channel
        number = int(np.searchsorted(begins, begin))
        if number == len(begins) or begins[number] != begin:
            return None
        offset, size = self._extents[number].tolist()
        return offset, size

    def _read(self) -> np.ndarray:
        chunks: list[tuple[int, int, int]] = []

        def note(chunk: h5py.h5d.StoreInfo) -> None:
            row, channel, *_ = chunk.chunk_offset
            chunks.append((row * self._channels + channel, chunk.byte_offset, chunk.size))

        self._id.chunk_iter(note)
        try:
            table = np.array(sorted(chunks), np.int64).reshape(-1, 3)
        except OverflowError as error:
            raise ValueError("its list of chunks names impossible offsets") from error
        self._begins, self._extents = table[:, 0].copy(), table[:, 1:].copy()
        return self._begins
