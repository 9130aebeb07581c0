"""Arrays that are read through memory mapping lie where numpy need not copy them."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.derive import image_table, layer
from indexer.derive.distribution import Distribution
from indexer.index import hdf5
from indexer.index.layout import DERIVED
from indexer.shards.histogram import decode
from tests.marks import seeds


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """So many bytes are taken within."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seed", seeds(5, 2))
def test_what_is_created_is_mapped_aligned(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(["u1", "i2", "f4", "i8", "S7", "u4", "f8"])
    made = {f"{kind}/here": rng.integers(0, 99, int(rng.integers(1, 999))).astype(kind) for kind in kinds}
    with hdf5.create_file(tmp_path / "a.h5", "arrays", 1) as file:
        for name, values in made.items():
            file[name] = values
    found = hdf5.map_arrays(tmp_path / "a.h5", "a.h5", "arrays", 1)
    assert found.keys() == made.keys()
    for name, values in made.items():
        assert found[name].flags.aligned, name
        np.testing.assert_array_equal(found[name], values)


def test_derived_arrays_are_aligned(small_index: Path) -> None:
    files = sorted((small_index / DERIVED).rglob("*.h5"))
    assert len(files) > 1
    for path in files:
        about = image_table if path.name == "images.h5" else layer
        for name, array in hdf5.map_arrays(path, path.name, about.KIND, about.VERSION).items():
            assert array.flags.aligned, (path.name, name)


def test_images_are_found_without_a_copy_of_all_wherever_they_lie(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        paths = [image.path for image in index.find_images(limit=3, offset=2).items]
        table = index.images
        table.id = np.frombuffer(b"." + (np.arange(100_000) * 3).tobytes(), np.uint8)[1:].view(np.int64)
        assert not table.id.flags.aligned
        with at_most(100_000):
            found = [table.find_id(id) for id in (0, 1, 2, 3, 299_997, 299_998, -1, 2**70)]
            page = index.find_images(limit=3, offset=2)
        assert found == [0, None, None, 1, 99_999, None, None, None]
        assert [(image.id, image.path) for image in page.items] == list(zip((6, 9, 12), paths, strict=True))
        assert page.total == 100_000


@pytest.mark.parametrize("seed", seeds(3, 2))
def test_a_neuron_s_values_are_found_without_a_copy_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = np.unique(rng.integers(0, 1 << 32, 200_000, np.uint32))
    keys = keys[keys >> np.uint32(16) != 77]  # a neuron without any
    counts = rng.integers(1, 9, len(keys))
    neurons = (keys >> np.uint32(16)).astype(np.int64)
    codes, ends = (keys & np.uint32(0xFFFF)).astype(np.uint16), np.searchsorted(neurons, np.arange(1 << 16), "right")
    before = np.concatenate([np.zeros(1, int), np.cumsum(counts)])
    cumulative = before[1:] - before[np.searchsorted(neurons, neurons)]
    distribution = Distribution(0, codes, ends, cumulative.astype(np.uint32))
    distribution.of_neuron(0)  # what is kept for all neurons
    for neuron in (0, 1, 76, 77, 78, 65_534, 65_535):
        own = neurons == neuron
        with at_most(100_000):
            values, found = distribution.of_neuron(neuron)
        np.testing.assert_array_equal(values, decode(keys[own] & np.uint32(0xFFFF)).astype(np.float32))
        np.testing.assert_array_equal(found, counts[own])
