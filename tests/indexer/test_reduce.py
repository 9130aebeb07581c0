"""What is kept of maps equals a slow twin, whatever the memory layout, with ties before and after rounding.

What is made for a GPU runs here on the CPU; tests that need a GPU are in `test_gpu`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from indexer.errors import BadActivations, NotFinite
from indexer.network.passes.threads import batch_size
from indexer.shards import reduce_gpu
from indexer.shards.counting import Counter
from indexer.shards.maps import device_packer, kernels
from indexer.shards.maps.packer import packed
from indexer.shards.records import LayerBatch
from indexer.shards.reduce import reduce_maps
from tests.marks import seeds

CPU = torch.device("cpu")


def reduce_queued(layer: str, maps: torch.Tensor, paths: Sequence[str]) -> LayerBatch:
    return reduce_gpu.start(maps, reduce_gpu.CountTable(maps.shape[1], maps.device)).batch(layer, paths)


Reduce = Callable[[str, torch.Tensor, Sequence[str]], LayerBatch]
both_ways = pytest.mark.parametrize("reduce", [reduce_maps, reduce_queued])


def maps_of(seed: int) -> np.ndarray:
    """Activations (6, 5, 7, 11) so close that many round to the same half; dead, negative and saturated maps."""
    rng = np.random.default_rng(seed)
    maps = (1 + rng.integers(0, 40, (6, 5, 7, 11)) / 8192).astype(np.float32)
    maps[:, 1] = 0
    maps[:, 2] *= -1
    maps[2:4, 3] = rng.integers(-3, 3, (2, 7, 11)) * 50_000
    maps[5, 4] = rng.normal(0, 1, (7, 11))
    return maps


def halves_of(batch: LayerBatch) -> np.ndarray:
    """The maps (6, 5, 7, 11) float16 of a batch."""
    return np.stack([image.halves for image in batch.maps]).reshape(6, 5, 7, 11)


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize("shape", [(6, 5, 7, 11), (2, 33, 9, 8), (3, 16, 1, 1), (1, 1, 40, 3)])
def test_one_pass_and_step_by_step(
    seed: int, reduces: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fits float16 and lies channels last is reduced in one pass, where the processor can."""
    monkeypatch.setattr(kernels, "REDUCES", reduces and kernels.REDUCES)
    maps = np.random.default_rng(seed).normal(0, 3, shape).astype(np.float32)
    batch = reduce_maps("layer", torch.from_numpy(maps).contiguous(memory_format=torch.channels_last), [])
    halves = np.stack([image.halves for image in batch.maps]).reshape(shape)
    np.testing.assert_array_equal(halves, maps.astype(np.float16))
    np.testing.assert_array_equal(batch.peaks, maps.max(axis=(2, 3)))
    np.testing.assert_array_equal(batch.peak_cells, maps.reshape(*shape[:2], -1).argmax(axis=2))


@both_ways
@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_batch_is_reduced_as_one_would_by_hand(reduce: Reduce, seed: int, layout: torch.memory_format) -> None:
    maps = maps_of(seed)
    batch = reduce("layer", torch.from_numpy(maps).contiguous(memory_format=layout), ["image"] * 6)
    np.testing.assert_array_equal(halves_of(batch), np.clip(maps, -65504, 65504).astype(np.float16))
    assert batch.saturated == (np.abs(maps) > 65504).sum()
    for image in range(6):
        for neuron in range(5):
            values = maps[image, neuron].ravel()
            assert batch.peaks[image, neuron] == values.max()
            assert batch.peak_cells[image, neuron] == int(np.flatnonzero(values == values.max())[0])


@both_ways
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(reduce: Reduce, bad: float) -> None:
    maps = maps_of(0)
    maps[4, 3, 2, 1] = bad
    with pytest.raises(BadActivations, match=r"layer 'features.1', neuron 3 gives NaN or infinity on the image 4.jpg"):
        reduce("features.1", torch.from_numpy(maps), [f"{number}.jpg" for number in range(6)])


@pytest.mark.parametrize("at_once", [1, 400, 1 << 24])
def test_parts_of_a_batch_are_reduced_as_all_of_it(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(reduce_gpu, "_AT_ONCE", at_once)
    maps = torch.from_numpy(maps_of(1))
    table = reduce_gpu.CountTable(5, CPU)
    batch, expected = reduce_gpu.start(maps, table).batch("layer", ["image"] * 6), reduce_maps("layer", maps, [])
    np.testing.assert_array_equal(batch.peak_cells, expected.peak_cells)
    np.testing.assert_array_equal(halves_of(batch), halves_of(expected))
    counted(table, [halves_of(expected)])


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 1, 1), (3, 7, 4, 8), (2, 9, 3, 5)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_maps_are_packed_on_their_device_as_on_the_host(shape: tuple[int, ...], share: float) -> None:
    rng = np.random.default_rng(len(shape) + int(10 * share))
    maps = (rng.normal(1, 2, shape) * (rng.random(shape) < share)).astype(np.float16)
    maps.reshape(-1)[0] = -0.0
    for mine, other in zip(
        device_packer.start(torch.from_numpy(maps)).images(), [packed(image) for image in maps], strict=True
    ):
        assert mine.cells == other.cells
        for name in ("present", "values", "ends"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
            assert getattr(mine, name).dtype == getattr(other, name).dtype


@pytest.mark.parametrize("most", [1 << 31, 1500])
@pytest.mark.parametrize("seed", seeds(3, 2))
def test_a_table_counts_what_the_counter_counts(monkeypatch: pytest.MonkeyPatch, seed: int, most: int) -> None:
    monkeypatch.setattr(reduce_gpu, "_MOST", most)  # the table is emptied on the way
    rng = np.random.default_rng(seed)
    batches = [np.clip(maps_of(seed), -65504, 65504).astype(np.float16)]
    batches += [rng.normal(0, 3, (n, 5, 7, 11)).round(1).astype(np.float16) for n in (3, 1)]
    batches[1][0, 0, 0, :2] = [0.0, -0.0]
    table = reduce_gpu.CountTable(5, CPU)
    for maps in batches:
        table.add(torch.from_numpy(maps))
    counted(table, batches)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_batch_that_is_refused_is_not_counted(bad: float) -> None:
    table = reduce_gpu.CountTable(5, CPU)
    fine = maps_of(1)
    broken = maps_of(2)
    broken[[1, 4], 3, 2, 1] = bad
    reduce_gpu.start(torch.from_numpy(fine), table)
    refused = reduce_gpu.start(torch.from_numpy(broken), table)
    with pytest.raises(NotFinite) as error:
        refused.batch("layer", ["image"] * 6)
    assert error.value.rows == (1, 4)
    refused.take_back(table)
    counted(table, [np.clip(fine, -65504, 65504).astype(np.float16)])


def counted(table: reduce_gpu.CountTable, batches: list[np.ndarray]) -> None:
    counter = Counter(5)
    for maps in batches:
        counter.count([packed(image) for image in maps])
    found, expected = table.histogram(), counter.histogram()
    assert found.keys.dtype == np.uint32
    np.testing.assert_array_equal(found.keys, expected.keys)
    np.testing.assert_array_equal(found.counts, expected.counts)


@pytest.mark.parametrize(
    ("device", "activations", "images"),
    [("cpu", 10**6, 8), ("cuda", 512 * 13 * 13, 128), ("cuda", 13_547_520, 9), ("cuda", 10**9, 1)],
)
def test_a_batch_on_a_gpu_is_large_but_bounded(device: str, activations: int, images: int) -> None:
    assert batch_size(torch.device(device), activations) == images
