"""The walk over images by descending peak: what it finds, and how little it reads."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from indexer.query import top
from indexer.query.top import Hit, all_cells
from tests.marks import seeds

IMAGES, HEIGHT, WIDTH = 60, 3, 5


def walk(peaks: np.ndarray, maps: np.ndarray, count: int, **options: object) -> tuple[list[Hit], int]:
    """The hits of a neuron with these peaks (N,) and maps (N, H, W), and how many maps were read."""
    read: list[int] = []

    def read_map(row: int) -> np.ndarray:
        read.append(row)
        return maps[row]

    peak_cells = maps.reshape(len(maps), -1).argmax(axis=1)
    layer = SimpleNamespace(peaks=peaks[None], peak_cells=peak_cells[None], reading=nullcontext)
    rows = np.lexsort((np.arange(len(peaks)), -peaks))
    return all_cells(layer, 0, rows, count, read_map, **options), len(read)


@pytest.fixture(autouse=True, params=[7, 1 << 10])
def _block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "BLOCK_IMAGES", request.param)


@pytest.mark.parametrize("seed", seeds(20, 4))
@pytest.mark.parametrize("cell", [None, 7])
def test_ties_are_broken_by_row_and_cell(seed: int, cell: int | None) -> None:
    rng = np.random.default_rng(seed)
    maps = (rng.integers(0, 4, (IMAGES, HEIGHT, WIDTH)) * 10 + 30).astype(np.float16)
    # peaks before rounding to float16: their order among equal halves is not that of the rows
    peaks = (maps.max(axis=(1, 2)).astype(np.float32) + rng.uniform(-0.006, 0.006, IMAGES)).astype(np.float32)
    assert np.array_equal(peaks.astype(np.float16), maps.max(axis=(1, 2)))
    cells = range(HEIGHT * WIDTH) if cell is None else [cell]
    every = [Hit(row, c, float(maps[row].ravel()[c])) for row in range(IMAGES) for c in cells]
    expected = sorted(every, key=lambda hit: (-hit.activation, hit.row, hit.cell))
    for count in (1, 2, 9, 40, 2000):
        assert walk(peaks, maps, count, cell=cell)[0] == expected[:count]


@pytest.mark.parametrize("value", [0, 6])
def test_a_neuron_with_the_same_peak_everywhere_is_read_on_few_images(value: float) -> None:
    maps = np.full((IMAGES, HEIGHT, WIDTH), value, np.float16)
    hits, read = walk(maps.max(axis=(1, 2)).astype(np.float32), maps, 40)
    assert [(hit.row, hit.cell) for hit in hits] == [divmod(number, HEIGHT * WIDTH) for number in range(40)]
    assert read == 3, "15 cells an image"


def test_one_cell_is_not_read_where_the_peak_lies_at_it() -> None:
    maps = np.random.default_rng(0).permutation(IMAGES * 15).reshape(IMAGES, HEIGHT, WIDTH).astype(np.float16)
    flat = maps.reshape(IMAGES, -1)
    flat[:, 4] += 1000  # exact in float16, and above all others
    hits, read = walk(flat.max(axis=1).astype(np.float32), maps, 20, cell=4)
    assert [hit.row for hit in hits] == np.lexsort((np.arange(IMAGES), -flat[:, 4]))[:20].tolist()
    assert read == 0
