"""Maps that are written as chunks are read again, in any order, however often one asks."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from indexer.errors import DamagedFile
from indexer.shards import chunks
from indexer.shards.chunk_offsets import ChunkOffsets
from indexer.shards.chunks import ChunkReader, ChunkWriter

ROWS = 61
SHAPES = [(5, 3, 4), (40, 64, 96), (300, 13, 9)]
"""Several images a chunk; several chunks an image, the last one not full; one."""


@pytest.fixture(params=SHAPES, ids=str)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, np.ndarray]:
    maps = np.random.default_rng(0).normal(0, 9, (ROWS, *request.param)).astype(np.float16)
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file, ThreadPoolExecutor(2) as pool:
        writer = ChunkWriter(file, "maps", request.param, pool)
        for start in range(0, ROWS, 7):
            writer.add(maps[start : start + 7])
        writer.close()
    return tmp_path / "a.h5", maps


def reader_of(file: h5py.File, descriptor: int) -> ChunkReader:
    return ChunkReader(file["maps"], partial(os.pread, descriptor), threading.Lock(), "a.h5")


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_and_any_number_of_times(written: tuple[Path, np.ndarray], seed: int) -> None:
    path, maps = written
    rng = np.random.default_rng(seed)
    with h5py.File(path) as file, path.open("rb") as raw:
        reader = reader_of(file, raw.fileno())
        for row in rng.integers(ROWS, size=2 * ROWS).tolist():
            channel = int(rng.integers(maps.shape[1]))
            assert np.array_equal(reader.map(row, channel), maps[row, channel])
            assert np.array_equal(reader.maps(row), maps[row])


def test_all_offsets_are_those_of_one_by_one(written: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    path, maps = written
    with h5py.File(path) as file:
        dataset = file["maps"]
        starts = [(row, channel) for row in range(0, ROWS, dataset.chunks[0])
                  for channel in range(0, maps.shape[1], dataset.chunks[1])]  # fmt: skip
        one_by_one = {start: ChunkOffsets(dataset).find(*start) for start in starts}
        monkeypatch.setattr("indexer.shards.chunk_offsets.ONE_BY_ONE", 0)
        offsets = ChunkOffsets(dataset)
        assert {start: offsets.find(*start) for start in starts} == one_by_one
        assert offsets.find(ROWS + dataset.chunks[0], 0) is None


@pytest.mark.parametrize("one_by_one", [0, 1000])
def test_a_chunk_that_was_never_written(
    written: tuple[Path, np.ndarray], one_by_one: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, maps = written
    monkeypatch.setattr("indexer.shards.chunk_offsets.ONE_BY_ONE", one_by_one)
    with h5py.File(path, "a") as file:
        file["maps"].resize(ROWS + 500, axis=0)
    with h5py.File(path) as file, path.open("rb") as raw:
        reader = reader_of(file, raw.fileno())
        assert np.array_equal(reader.maps(3), maps[3])
        with pytest.raises(DamagedFile, match=f"a.h5: lacks the maps of row {ROWS + 400}"):
            reader.maps(ROWS + 400)


def test_a_chunk_that_claims_to_be_larger_than_it_can_be(
    written: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = written
    monkeypatch.setattr("indexer.shards.chunk_offsets.ONE_BY_ONE", 0)
    monkeypatch.setattr(chunks, "FRAME_BYTES", -(1 << 28))
    with h5py.File(path) as file, path.open("rb") as raw, pytest.raises(DamagedFile, match="lacks the maps of row 5"):
        reader_of(file, raw.fileno()).map(5, 2)
