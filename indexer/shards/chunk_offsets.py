"""Where in its file each chunk of a dataset lies.

HDF5 tells it of one chunk by going through all before it, and of all in one pass that takes as long as some forty such
questions. So the first chunks are asked for one by one, and the pass is made for those who go on asking.
"""

import h5py
import numpy as np

ONE_BY_ONE = 40
"""Chunks of a dataset that are asked for one by one."""


class Places:
    """The chunks of a dataset (n, C, H, W), each of which holds whole maps. Not safe from several threads."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._id, self._channels = dataset.id, dataset.shape[1]
        self._asked = 0
        self._begins: np.ndarray | None = None  # (chunks,) int64, ascending: row * C + channel
        self._places = np.empty((0, 2), np.int64)

    def find(self, row: int, channel: int) -> tuple[int, int] | None:
        """Offset and size, in bytes, of the chunk that begins with this row and channel; None where none was written.

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
        offset, size = self._places[number].tolist()
        return offset, size

    def _read(self) -> np.ndarray:
        found: list[tuple[int, int, int]] = []

        def note(chunk: h5py.h5d.StoreInfo) -> None:
            row, channel, *_ = chunk.chunk_offset
            found.append((row * self._channels + channel, chunk.byte_offset, chunk.size))

        self._id.chunk_iter(note)
        try:
            table = np.array(sorted(found), np.int64).reshape(-1, 3)
        except OverflowError as error:
            raise ValueError("its list of chunks names impossible places") from error
        self._begins, self._places = table[:, 0].copy(), table[:, 1:].copy()
        return self._begins
