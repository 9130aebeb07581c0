"""Is this file one of the FAISS indexes that `indexer.derive.vectors` writes, whole and of the right size?

FAISS trusts what it reads: a file that claims other sizes than it has makes it allocate without bounds, or crash the
process. So every number of the structure is read here first, and must be what it has to be; what is left to FAISS are
vectors and ids, of which there are as many as there must be. Layouts are those of FAISS 1.7 to 1.15,
``index_write.cpp``.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO, Final

_FP16: Final = 4
_INNER_PRODUCT: Final = 0
_MOST_LISTS: Final = 1 << 24
_ID_BYTES: Final = 8


class WrongVectors(ValueError):
    """What is wrong with a file."""


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = os.fstat(file.fileno()).st_size

    def take(self, layout: str) -> tuple[int, ...]:
        packed = struct.Struct("<" + layout)
        data = self._file.read(packed.size)
        if len(data) < packed.size:
            raise WrongVectors("ends too early")
        return packed.unpack(data)

    def expect(self, layout: str, *wanted: float | None) -> None:
        """Numbers that must be these; None for any."""
        found = self.take(layout)
        if any(b is not None and a != b for a, b in zip(found, wanted, strict=True)):
            raise WrongVectors(f"says {found} where {wanted} is right")

    def skip(self, count: int) -> None:
        if count < 0 or self._file.tell() + count > self.size:
            raise WrongVectors("ends too early")
        self._file.seek(count, os.SEEK_CUR)

    def end(self) -> None:
        if self._file.tell() != self.size:
            raise WrongVectors("goes on behind its end")


def check_vectors(path: Path, lists: Path | None, dimensions: int, count: int) -> None:
    """Refuse a file that is not a whole index, by inner product, of so many vectors of so many numbers.

    ``lists`` is the file of its lists, where it is an inverted file.

    Raises
    ------
    WrongVectors
    OSError
    """
    with path.open("rb") as file:
        reader = _Reader(file)
        (kind,) = reader.take("4s")
        if kind == b"IxSQ" and lists is None:
            _header(reader, dimensions, count)
            _quantizer(reader, dimensions)
            reader.expect("Q", count * dimensions * 2)
            reader.skip(count * dimensions * 2)
        elif kind == b"IwSq" and lists is not None:
            _inverted(reader, lists.stat().st_size, dimensions, count)
        else:
            raise WrongVectors(f"is of the kind {kind!r}, which is not written here")
        reader.end()


def _header(reader: _Reader, dimensions: int, count: int) -> None:
    reader.expect("iqqqBi", dimensions, count, None, None, 1, _INNER_PRODUCT)


def _quantizer(reader: _Reader, dimensions: int) -> None:
    reader.expect("iifQQQ", _FP16, None, None, dimensions, dimensions * 2, 0)


def _inverted(reader: _Reader, size: int, dimensions: int, count: int) -> None:
    """The index of an inverted file whose lists are in a file of ``size`` bytes."""
    _header(reader, dimensions, count)
    lists, probes = reader.take("QQ")
    if not 1 <= lists <= _MOST_LISTS or not 1 <= probes <= lists:
        raise WrongVectors(f"has {lists} lists and {probes} probes")
    reader.expect("4s", b"IxFI")
    _header(reader, dimensions, lists)
    reader.expect("Q", lists * dimensions)
    reader.skip(lists * dimensions * 4)
    reader.expect("BQ", 0, 0)  # no map from ids to places
    _quantizer(reader, dimensions)
    reader.expect("Q", dimensions * 2)
    if reader.take("B") not in ((0,), (1,)):  # whether codes are relative to the centre of their list
        raise WrongVectors("has a flag that is neither true nor false")
    reader.expect("4sQQQ", b"ilod", lists, dimensions * 2, lists)
    if reader.size < lists * 24:
        raise WrongVectors("ends too early")
    numbers = reader.take(f"{3 * lists}Q")
    sizes, capacities, offsets = numbers[::3], numbers[1::3], numbers[2::3]
    entry = dimensions * 2 + _ID_BYTES
    for held, capacity, offset in zip(sizes, capacities, offsets, strict=True):
        if held > capacity or (capacity and offset + capacity * entry > size):
            raise WrongVectors("has a list that is not in its file")
    if sum(sizes) != count:
        raise WrongVectors(f"has {sum(sizes)} vectors in its lists, not {count}")
    for width in (16, 1):  # free slots, and the name that the file of the lists once had
        (length,) = reader.take("Q")
        reader.skip(length * width)
    reader.expect("Q", size)
