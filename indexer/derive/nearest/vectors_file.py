"""Checks that a file is a FAISS index as `indexer.derive.nearest.vectors` writes it, whole and of the right size.

FAISS trusts the files that it reads. A file that claims wrong sizes makes it allocate without bounds, or crash the
process. So every number of the structure is read and checked here first. FAISS then reads only vectors and ids, whose
number has been checked. The layouts are those of FAISS 1.7 to 1.15, ``index_write.cpp``.
"""

from pathlib import Path
from typing import Final

import numpy as np

from indexer.derive.nearest.faiss_reader import Reader, WrongVectors
from indexer.derive.nearest.graph_file import check_graph

_FP16: Final = 4
_INNER_PRODUCT: Final = 0
_MOST_LISTS: Final = 1 << 24
_MOST_QUERY_BITS: Final = 8
_ID_BYTES: Final = 8
_LENGTHS_BYTES: Final = 8
"""Bytes of the two lengths that a code holds beside its signs."""


def check_vectors(path: Path, lists: Path | None, dimensions: int, count: int) -> None:
    """Refuse a file that is not a whole index by inner product of ``count`` vectors of ``dimensions`` numbers.

    ``lists`` is the file of its lists, if it is an inverted file.

    Raises
    ------
    WrongVectors
    OSError
    """
    with path.open("rb") as file:
        reader = Reader(file)
        (kind,) = reader.take("4s")
        if kind == b"IxSQ" and lists is None:
            _header(reader, dimensions, count)
            _quantizer(reader, dimensions)
            reader.expect("Q", count * dimensions * 2)
            reader.skip(count * dimensions * 2)
        elif kind == b"IxPT" and lists is not None:
            _rotated(reader, lists.stat().st_size, dimensions, count)
        else:
            raise WrongVectors(f"is of the kind {kind!r}, which is not written here")
        reader.end()


def _header(reader: Reader, dimensions: int, count: int) -> None:
    reader.expect("iqqqBi", dimensions, count, None, None, 1, _INNER_PRODUCT)


def _quantizer(reader: Reader, dimensions: int) -> None:
    reader.expect("iifQQQ", _FP16, None, None, dimensions, dimensions * 2, 0)


def _rotated(reader: Reader, size: int, dimensions: int, count: int) -> None:
    """Check a rotation followed by an inverted file over codes whose lists are in a file of ``size`` bytes."""
    _header(reader, dimensions, count)
    reader.expect("i4sB", 1, b"rrot", 0)
    _check_small(reader.array("<f4", dimensions * dimensions))
    reader.expect("QiiB", 0, dimensions, dimensions, 1)
    reader.expect("4s", b"Iwrq")
    lists = _list_count(reader, dimensions, count)
    reader.expect("4s", b"IHNf")
    _header(reader, dimensions, lists)
    check_graph(reader, lists)
    reader.expect("4s", b"IxFI")
    _header(reader, dimensions, lists)
    _check_small(reader.array("<f4", lists * dimensions))
    reader.expect("BQ", 0, 0)  # no map from ids to positions
    code = -(-dimensions // 8) + _LENGTHS_BYTES
    reader.expect("QQiQB", dimensions, code, _INNER_PRODUCT, code, 1)
    (bits,) = reader.take("B")
    if not 1 <= bits <= _MOST_QUERY_BITS:
        raise WrongVectors(f"has queries of {bits} bits")
    _lists(reader, size, lists, code, count)


def _check_small(numbers: np.ndarray) -> None:
    """Check numbers of vectors of length 1. Their products must be finite, as a search of the graph compares them."""
    if not (np.abs(numbers) <= 2).all():
        raise WrongVectors("has numbers that are not those of unit vectors")


def _list_count(reader: Reader, dimensions: int, count: int) -> int:
    _header(reader, dimensions, count)
    lists, probes = reader.take("QQ")
    if not 1 <= lists <= _MOST_LISTS or not 1 <= probes <= lists:
        raise WrongVectors(f"has {lists} lists and {probes} probes")
    return int(lists)


def _lists(reader: Reader, size: int, lists: int, code: int, count: int) -> None:
    """Check where the lists lie in their file of ``size`` bytes; a vector takes ``code`` bytes."""
    reader.expect("4sQQQ", b"ilod", lists, code, lists)
    if reader.size < lists * 24:
        raise WrongVectors("ends too early")
    numbers = reader.take(f"{3 * lists}Q")
    sizes, capacities, offsets = numbers[::3], numbers[1::3], numbers[2::3]
    entry = code + _ID_BYTES
    for held, capacity, offset in zip(sizes, capacities, offsets, strict=True):
        if held > capacity or (capacity and offset + capacity * entry > size):
            raise WrongVectors("has a list that reaches beyond the file of its lists")
    if sum(sizes) != count:
        raise WrongVectors(f"has {sum(sizes)} vectors in its lists, not {count}")
    for width in (16, 1):  # free slots, and the name that the file of the lists had when it was written
        (length,) = reader.take("Q")
        reader.skip(length * width)
    reader.expect("Q", size)
