"""Rows that are read around HDF5, beside HDF5's own."""

import os
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from indexer.index.hdf5 import StoredRows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "some.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["before"] = rng.random(100)
        file["floats"] = rng.random((7, 5), np.float32)
        file["numbers"] = rng.integers(0, 9, (3, 2, 4), np.uint32)
        file["none"] = np.empty((4, 0), np.float32)
        file["single"] = 3.0
        file.create_dataset("chunks", data=rng.random((7, 5)), chunks=(2, 5))
        file.create_dataset("unwritten", (7, 5), np.float32)
    return path


def in_pieces(data: bytes, size: int, offset: int) -> bytes:
    return data[offset : offset + min(size, 9)]


@pytest.mark.parametrize("rows", [slice(None), slice(2, 4), slice(5, 100), slice(3, 3), slice(4, 2), slice(-2, None)])
@pytest.mark.parametrize("name", ["floats", "numbers", "none"])
def test_rows_are_those_that_hdf5_reads(file: Path, name: str, rows: slice) -> None:
    with h5py.File(file) as opened, file.open("rb") as raw:
        place, expected = StoredRows.of(opened[name]), opened[name][rows]
        for read_range in (partial(os.pread, raw.fileno()), partial(in_pieces, file.read_bytes())):
            found = place.read(read_range, rows)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["single", "chunks", "unwritten"])
def test_what_is_not_in_one_piece_is_refused(file: Path, name: str) -> None:
    with h5py.File(file) as opened, pytest.raises(ValueError, match="not in one piece"):
        StoredRows.of(opened[name])


def test_rows_beyond_the_end_of_the_file_are_refused(file: Path) -> None:
    with h5py.File(file) as opened:
        place = StoredRows.of(opened["floats"])
    data = file.read_bytes()[: place.offset + 6 * 20 - 1]
    assert place.read(partial(in_pieces, data), slice(0, 5)).shape == (5, 5)
    with pytest.raises(ValueError, match="ends 1 bytes before"):
        place.read(partial(in_pieces, data), slice(0, 6))
    with pytest.raises(ValueError, match="claims to have"):
        StoredRows(0, (2**33, 5), np.dtype(np.float32)).read(partial(in_pieces, data), slice(None))
