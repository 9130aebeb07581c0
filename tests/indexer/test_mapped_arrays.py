"""Arrays that are read through memory mapping lie where numpy need not copy them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.derive import images, layer
from indexer.store import mapped
from indexer.store.layout import DERIVED


@pytest.mark.parametrize("seed", range(5))
def test_what_is_created_is_mapped_aligned(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(["u1", "i2", "f4", "i8", "S7", "u4", "f8"])
    made = {f"{kind}/here": rng.integers(0, 99, int(rng.integers(1, 999))).astype(kind) for kind in kinds}
    with mapped.create_file(tmp_path / "a.h5", "arrays", 1) as file:
        for name, values in made.items():
            file[name] = values
    found = mapped.map_arrays(tmp_path / "a.h5", "a.h5", "arrays", 1)
    assert found.keys() == made.keys()
    for name, values in made.items():
        assert found[name].flags.aligned, name
        np.testing.assert_array_equal(found[name], values)


def test_derived_arrays_are_aligned(small_index: Path) -> None:
    files = sorted((small_index / DERIVED).rglob("*.h5"))
    assert len(files) > 1
    for path in files:
        about = images if path.name == "images.h5" else layer
        for name, array in mapped.map_arrays(path, path.name, about.KIND, about.VERSION).items():
            assert array.flags.aligned, (path.name, name)


def test_an_id_is_found_without_a_copy_of_all_wherever_they_lie(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        table = index.images
        table.id = np.frombuffer(b"." + (np.arange(100_000) * 3).tobytes(), np.uint8)[1:].view(np.int64)
        assert not table.id.flags.aligned
        tracemalloc.start()
        try:
            found = [table.find_id(id) for id in (0, 1, 2, 3, 299_997, 299_998, -1, 2**70)]
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()
    assert found == [0, None, None, 1, 99_999, None, None, None]
