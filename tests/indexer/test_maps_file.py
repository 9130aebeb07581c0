"""Maps that are written into a shard are read again, in any order, by the shard's reader and by plain h5py."""

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - as a program that reads a shard would
import numpy as np
import pytest

from indexer.errors import DamagedFile
from indexer.shards.histogram import Histogram
from indexer.shards.histogram_file import read_histogram, write_histogram
from indexer.shards.maps import reader as maps_reader
from indexer.shards.maps import writer as maps_writer
from indexer.shards.maps.chunk_offsets import ChunkOffsets
from indexer.shards.maps.packer import packed
from indexer.shards.maps.reader import MapsReader
from indexer.shards.maps.writer import MapsWriter

ROWS = 61
SHAPES = [(5, 3, 4), (40, 32, 48), (300, 13, 9), (70, 1, 1)]
"""Several images share a chunk of bits; large maps; odd ones; those of a vector."""
DENSITIES = [0.0, 0.1, 0.5, 1.0]


def maps_of(shape: tuple[int, int, int], density: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    maps = np.where(rng.random((ROWS, *shape)) < density, rng.normal(0, 9, (ROWS, *shape)), 0)
    maps[5] = 0  # an image without any activation
    maps[6, 0] = -0.0
    return maps.astype(np.float16)


@pytest.fixture(params=[(shape, density) for shape in SHAPES for density in DENSITIES], ids=str)
def written(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray]:
    monkeypatch.setattr(maps_writer, "VALUES_CHUNK", 1000)
    content, maps = file_of(*request.param)
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    return path, maps


@cache
def file_of(shape: tuple[int, int, int], density: float) -> tuple[bytes, np.ndarray]:
    """A file and the maps in it; written once, as a dozen tests read or damage a copy."""
    maps = maps_of(shape, density)
    file = io.BytesIO()
    with h5py.File(file, "w", libver="latest") as h5, ThreadPoolExecutor(2) as pool:
        writer = MapsWriter(h5.create_group("layers/0"), shape, pool)
        for start in range(0, ROWS, 7):
            writer.add([packed(image) for image in maps[start : start + 7]])
        writer.close(saturated=3)
    maps.flags.writeable = False
    return file.getvalue(), maps


def reader_of(file: h5py.File, descriptor: int) -> MapsReader:
    return MapsReader(file, "0", partial(os.pread, descriptor), threading.Lock(), "a.h5")


def same(found: np.ndarray, expected: np.ndarray) -> bool:
    """Equal bit for bit, with the sign of zeros."""
    return found.dtype == expected.dtype and np.array_equal(found.view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize("one_by_one", [0, 40])
def test_any_order_and_any_number_of_times(
    written: tuple[Path, np.ndarray], one_by_one: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, maps = written
    monkeypatch.setattr("indexer.shards.maps.chunk_offsets.ONE_BY_ONE", one_by_one)
    rng = np.random.default_rng(1)
    with h5py.File(path) as file, path.open("rb") as raw:
        reader = reader_of(file, raw.fileno())
        assert reader.shape == maps.shape
        reader.check()
        for row in [5, 6, *rng.integers(ROWS, size=ROWS).tolist()]:
            channel = int(rng.integers(maps.shape[1]))
            assert same(reader.map(row, channel), maps[row, channel])
            assert same(reader.maps(row), maps[row])
        for row, channel in ((ROWS, 0), (-1, 0), (0, maps.shape[1]), (0, -1)):
            with pytest.raises(DamagedFile, match=r"has maps of shape .* without row"):
                reader.map(row, channel)


def test_plain_h5py_reads_them(written: tuple[Path, np.ndarray]) -> None:
    path, maps = written
    with h5py.File(path) as file:
        layer = file["layers/0"]
        channels, height, width = layer["present"].shape[1], layer.attrs["height"], layer.attrs["width"]
        for row in (0, 5, 6, ROWS - 1):
            bits = np.unpackbits(layer["present"][row], axis=1, count=height * width, bitorder="little").astype(bool)
            first, end = layer["ends"][row - 1] if row else 0, layer["ends"][row]
            image = np.zeros(bits.shape, np.float16)
            image[bits] = layer["values"][first:end]
            assert same(image.reshape(channels, height, width), maps[row])
        assert layer.attrs["saturated"] == 3


def test_only_what_is_dense_is_compressed(written: tuple[Path, np.ndarray]) -> None:
    path, maps = written
    with h5py.File(path) as file:
        values = file["layers/0/values"]
        found: list[tuple[int, int]] = []
        values.id.chunk_iter(lambda chunk: found.append((chunk.chunk_offset[0], chunk.filter_mask)))
        masks = [mask for _, mask in sorted(found)]
        share = np.count_nonzero(maps.view(np.uint16)) / maps.size
        assert values.shape == (np.count_nonzero(maps.view(np.uint16)),)
        assert set(masks[:-1]) <= ({0} if share > 0.9 else {0b11})
        assert set(masks[-1:]) <= {0}, "the last one is filled up, so it is compressed"


def test_a_file_is_the_same_whatever_the_batches(written: tuple[Path, np.ndarray]) -> None:
    path, maps = written
    again = path.with_name("b.h5")
    with h5py.File(again, "w", libver="latest") as file, ThreadPoolExecutor(3) as pool:
        writer = MapsWriter(file.create_group("layers/0"), maps.shape[1:], pool)
        writer.add([packed(image) for image in maps])
        writer.close(saturated=3)
    with h5py.File(path) as file, h5py.File(again) as other:
        for name in ("present", "values", "ends"):
            one, two = (each[f"layers/0/{name}"] for each in (file, other))
            assert np.array_equal(one[()].view(np.uint8), two[()].view(np.uint8))


def test_a_chunk_that_was_never_written(written: tuple[Path, np.ndarray]) -> None:
    path, maps = written
    with h5py.File(path, "a") as file:
        layer = file["layers/0"]
        layer["present"].resize(ROWS + 500, axis=0)
        ends = np.concatenate([layer["ends"][()], np.full(500, layer["ends"][-1])])
        del layer["ends"]
        layer["ends"] = ends
    with h5py.File(path) as file, path.open("rb") as raw:
        reader = reader_of(file, raw.fileno())
        assert same(reader.maps(3), maps[3])
        with pytest.raises(DamagedFile, match=f"a.h5: lacks the maps of row {ROWS + 400}"):
            reader.maps(ROWS + 400)
        with pytest.raises(DamagedFile, match=r"a\.h5: lacks the maps of row"):
            reader.check()


def test_a_chunk_that_claims_to_be_larger_than_it_can_be(
    written: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = written
    monkeypatch.setattr(maps_reader, "FRAME_BYTES", -(1 << 28))
    with h5py.File(path) as file, path.open("rb") as raw, pytest.raises(DamagedFile, match="lacks the maps of row 5"):
        reader_of(file, raw.fileno()).maps(5)


@pytest.mark.parametrize("name", ["present", "values"])
def test_bits_and_values_that_do_not_belong_together(written: tuple[Path, np.ndarray], name: str) -> None:
    path, maps = written
    if not maps[3].any():
        return
    with h5py.File(path, "a") as file:
        layer = file["layers/0"]
        if name == "present":
            layer["present"][3] = 0
        else:
            ends = layer["ends"][()]
            del layer["ends"]
            layer["ends"] = np.concatenate([ends[:3], ends[2:3], ends[4:]])
    wrong = pytest.raises(DamagedFile, match=r"the maps of row 3 cannot be read \(\d+ activations are not zero")
    with h5py.File(path) as file, path.open("rb") as raw, wrong:
        reader_of(file, raw.fileno()).maps(3)


@pytest.mark.parametrize("ends", [[0] * ROWS, [1] * (ROWS - 1), [2, 1] + [3] * (ROWS - 2), [-1] * ROWS])
def test_ends_that_cannot_be(tmp_path: Path, ends: list[int]) -> None:
    maps = maps_of((5, 3, 4), 0.5)
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file, ThreadPoolExecutor(2) as pool:
        writer = MapsWriter(file.create_group("layers/0"), (5, 3, 4), pool)
        writer.add([packed(image) for image in maps])
        writer.close(saturated=0)
        del file["layers/0/ends"]
        file["layers/0/ends"] = np.array(ends)
        with pytest.raises(ValueError, match="ends"):
            reader_of(file, -1)


@pytest.mark.parametrize("offsets", [0, 1000])
def test_all_offsets_are_those_of_one_by_one(
    written: tuple[Path, np.ndarray], offsets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = written
    with h5py.File(path) as file:
        for dataset in (file["layers/0/present"], file["layers/0/values"]):
            monkeypatch.setattr("indexer.shards.maps.chunk_offsets.ONE_BY_ONE", offsets)
            found = ChunkOffsets(dataset)
            for begin in range(0, dataset.shape[0], dataset.chunks[0]):
                info = dataset.id.get_chunk_info_by_coord((begin, *[0] * (dataset.ndim - 1)))
                assert found.find(begin) == (info.byte_offset, info.size, info.filter_mask)
            assert found.find(dataset.shape[0] + dataset.chunks[0] * 7) is None


@pytest.mark.parametrize("channels", [1, 16, 37])
def test_a_histogram_is_read_as_it_was_written(tmp_path: Path, channels: int) -> None:
    rng = np.random.default_rng(channels)
    keys = np.unique(rng.integers(0, channels << 16, 5000).astype(np.uint32))
    histogram = Histogram(channels, keys, rng.integers(1, 1 << 40, len(keys)))
    with h5py.File(tmp_path / "a.h5", "w") as file, ThreadPoolExecutor(2) as pool:
        write_histogram(file.create_group("histogram"), histogram, pool)
        found = read_histogram(file["histogram"], channels)
        assert found.keys.dtype == np.uint32
        assert found.counts.dtype == np.int64
        np.testing.assert_array_equal(found.keys, histogram.keys)
        np.testing.assert_array_equal(found.counts, histogram.counts)
        bits = np.unpackbits(file["histogram/present"][()], axis=1, bitorder="little")  # as the docs have it
        np.testing.assert_array_equal(np.flatnonzero(bits), keys)
        np.testing.assert_array_equal(file["histogram/counts"][()], histogram.counts)
        with pytest.raises(ValueError, match="bits of shape"):
            read_histogram(file["histogram"], channels + 1)
