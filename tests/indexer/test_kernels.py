"""The compiled loops equal slow twins in numpy."""

import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from indexer.shards import counting_kernels
from indexer.shards.histogram import recode
from indexer.shards.maps import kernels
from indexer.shards.maps.packer import packed
from indexer.shards.maps.packing import unpacked

SHAPES = [(1, 1), (3, 7), (5, 8), (4, 33), (37, 130), (129, 31)]
"""Neurons and cells: fewer and more than a byte, a cache line and a block has."""
both = pytest.mark.parametrize(("shape", "seed"), [(shape, seed) for shape in SHAPES for seed in range(3)])


def halves_of(shape: tuple[int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    halves = (rng.normal(0, 3, shape) * (rng.random(shape) < 0.1 + 0.4 * seed)).astype(np.float16)
    halves.reshape(-1)[:: 1 + halves.size // 3] = [-0.0, 65504, 6e-8, -65504][
        : len(halves.reshape(-1)[:: 1 + halves.size // 3])
    ]
    return halves


@both
def test_packing(shape: tuple[int, int], seed: int) -> None:
    halves = halves_of(shape, seed)
    image = packed(halves[:, :, None])
    bits = halves.view(np.uint16)
    np.testing.assert_array_equal(image.present, np.packbits(bits != 0, axis=1, bitorder="little"))
    np.testing.assert_array_equal(image.values, bits[bits != 0])
    np.testing.assert_array_equal(image.ends, np.cumsum((bits != 0).sum(axis=1)))
    np.testing.assert_array_equal(image.halves.view(np.uint16), bits)


def test_bits_without_values_are_refused() -> None:
    image = packed(halves_of((4, 33), 1)[:, :, None])
    with pytest.raises(ValueError, match="activations are not zero"):
        unpacked(image.present, image.values[1:].view(np.float16), 33)


@both
def test_counting(shape: tuple[int, int], seed: int) -> None:
    bits = np.stack([halves_of(shape, seed + image).view(np.uint16) for image in range(3)])
    there = bits != 0
    values, ends = bits[there], np.cumsum(there.sum(axis=2)).reshape(3, shape[0])
    table = np.full((shape[0], 1 << 16), 65530, np.uint16)  # so that some entries pass 65,535
    table[:, 0x8000:] = 0
    before = table.astype(np.int64)
    passed = np.empty(len(values), np.uint32)
    count = 0
    for _ in range(7):
        found = counting_kernels.count(values, ends, table, passed)
        for key in passed[:found].tolist():
            before[key >> 16, key & 0xFFFF] -= 1 << 16
        count += found
    expected = np.zeros(before.shape, np.int64)
    np.add.at(expected, (np.nonzero(there)[1], values), 7)
    np.testing.assert_array_equal(table, before + expected)
    assert count == np.count_nonzero(before != np.where(np.arange(1 << 16) < 0x8000, 65530, 0))


@both
def test_entries_in_the_order_of_values(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = (rng.integers(1, 9, (shape[0], 1 << 16)) * (rng.random((shape[0], 1 << 16)) < 0.01)).astype(np.uint16)
    table[:, 0] = 0  # zeros are counted apart
    table[0, 0x8000], zeros = 5, rng.integers(0, 3, shape[0])
    keys, counts = np.empty(table.size, np.uint32), np.empty(table.size, np.int64)
    found = counting_kernels.entries(table, zeros, keys, counts)
    expected: dict[int, int] = {}
    for neuron, bits in zip(*np.nonzero(table), strict=True):
        key = int(neuron) << 16 | int(recode(np.array([bits], np.uint16).view(np.float16))[0])
        expected[key] = expected.get(key, 0) + int(table[neuron, bits])
    for neuron in np.flatnonzero(zeros).tolist():
        expected[neuron << 16 | 0x8000] = expected.get(neuron << 16 | 0x8000, 0) + int(zeros[neuron])
    assert dict(zip(keys[:found].tolist(), counts[:found].tolist(), strict=True)) == expected
    assert (np.diff(keys[:found].astype(np.int64)) > 0).all()


@both
@pytest.mark.parametrize("depth", [1, 4])
def test_the_highest_of_each_unit(shape: tuple[int, int], seed: int, depth: int) -> None:
    images = np.stack([halves_of(shape, seed + other).ravel() for other in range(9)] * 2)  # each twice: ties
    codes = np.zeros((images.shape[1], depth), np.uint16)
    rows, lowest = np.zeros(codes.shape, np.uint32), np.zeros(len(codes), np.uint16)
    for row, halves in enumerate(images):
        counting_kernels.highest(halves.view(np.uint16), row, lowest, codes, rows)
    order = np.argsort(-images.astype(np.float32), axis=0, kind="stable")[:depth].T
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(codes, recode(np.take_along_axis(images.T, order, axis=1)))
    np.testing.assert_array_equal(lowest, codes[:, -1])


@pytest.mark.skipif(not kernels.REDUCES, reason="this processor does not round to float16 by itself")
@both
def test_reducing(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = np.ascontiguousarray((1 + rng.integers(-40, 40, shape) / 8192).astype(np.float32).T)  # ties once rounded
    maps[0, 0] = 2.0 ** -rng.integers(10, 30)  # also where float16 has fewer bits
    maps[rng.random(maps.shape) < 0.3] = 0
    channels, count = shape
    present, counts = np.empty((channels, -(-count // 8)), np.uint8), np.empty(channels, np.int64)
    peaks, cells = np.empty(channels, np.float32), np.empty(channels, np.uint32)
    filled = present, np.empty((channels, count + 8), np.uint16), counts, peaks, cells
    assert kernels.reduce(maps, *filled)
    values = np.empty(counts.sum(), np.uint16)
    kernels.gather(filled[1], counts, values)
    bits = maps.T.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(present, np.packbits(bits != 0, axis=1, bitorder="little"))
    np.testing.assert_array_equal(counts, (bits != 0).sum(axis=1))
    np.testing.assert_array_equal(values, bits[bits != 0])
    np.testing.assert_array_equal(peaks, maps.max(axis=0))
    np.testing.assert_array_equal(cells, maps.argmax(axis=0))
    for bad in (np.nan, np.inf, -np.inf, 65520, -70000):
        broken = maps.copy()
        broken[rng.integers(count), rng.integers(channels)] = bad
        assert not kernels.reduce(broken, *filled)
    maps[rng.integers(count), rng.integers(channels)] = np.nextafter(np.float32(65520), np.float32(0))
    assert kernels.reduce(maps, *filled), "it is rounded to the largest float16"


def test_packing_where_a_processor_does_not_shuffle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_squeeze", kernels._squeeze_one_by_one)
    pack = numba.njit(kernels.pack._function)
    for shape in SHAPES:
        bits = halves_of(shape, 1).view(np.uint16)
        present, ends = np.empty((shape[0], -(-shape[1] // 8)), np.uint8), np.empty(shape[0], np.int64)
        values = np.empty(bits.size + 8, np.uint16)
        assert pack(bits, present, values, ends) == np.count_nonzero(bits)
        np.testing.assert_array_equal(present, np.packbits(bits != 0, axis=1, bitorder="little"))
        np.testing.assert_array_equal(values[: ends[-1]], bits[bits != 0])
        np.testing.assert_array_equal(ends, np.cumsum((bits != 0).sum(axis=1)))


KERNEL = """
from indexer.shards.maps import kernels; import numpy as np
bits = np.array([[0, 5, 0]], np.uint16)
ends = np.empty(1, np.int64)
print(kernels.pack(bits, np.empty((1, 1), np.uint8), np.empty(11, np.uint16), ends), ends)
"""


def packing_alone(folder: Path, before: str, **environment: str) -> None:
    """Pack in another process, with a copy of the code in a folder, after some lines of code."""
    for name in ("__init__.py", "errors.py", "shards/__init__.py", "shards/maps/__init__.py", "shards/maps/kernels.py",
                 "system/__init__.py", "system/compiled.py"):  # fmt: skip
        target = folder / "indexer" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((Path(kernels.__file__).parents[2] / name).read_bytes())
    environment |= {"PYTHONPATH": str(folder), "PATH": ""}
    command = [sys.executable, "-c", before + KERNEL]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "1 [1]\n"), ended.stderr


def test_they_compile_where_nothing_can_be_written(tmp_path: Path) -> None:
    """A package that only root may write, and a user without a home."""
    before = (
        "import tempfile\n"  # with which numba tries whether it can write; the superuser can everywhere
        "def refuse(*arguments, **more): raise PermissionError(13, 'Permission denied')\n"
        "tempfile.TemporaryFile = refuse\n"
    )
    blocked = tmp_path / "nothing"
    blocked.write_text("")
    packing_alone(tmp_path, before, HOME=str(blocked), XDG_CACHE_HOME=str(blocked / "cache"))


@pytest.mark.slow
def test_they_compile_where_what_was_kept_is_damaged_or_cannot_be_kept(tmp_path: Path) -> None:
    packing_alone(tmp_path, "")
    kept = [*tmp_path.rglob("*.nbi"), *tmp_path.rglob("*.nbc")]
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(path.read_bytes()[:40])
    packing_alone(tmp_path, "")
    for path in kept:
        path.unlink(missing_ok=True)
    full = "import os\ndef full(*paths): raise OSError(28, 'No space left on device')\nos.replace = full\n"
    packing_alone(tmp_path, full)
