"""Streamed = whole, merged = whole, and every reading of a histogram equals numpy on the values themselves."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from indexer.derive.distribution import Distribution
from indexer.errors import InvalidRequest
from indexer.shards import counting as module
from indexer.shards import histogram
from indexer.shards.counting import Counter
from indexer.shards.histogram import Histogram, decode, recode
from indexer.shards.maps.packer import packed
from tests.marks import seeds


def maps_of(seed: int, images: int, channels: int = 5, height: int = 3, width: int = 7) -> np.ndarray:
    """Sparse, with ties, zeros of both signs, negative and extreme values; neuron 2 is dead, neuron 3 constant."""
    rng = np.random.default_rng(seed)
    maps = np.round(rng.normal(0, 3, (images, channels, height, width)), 1) * (rng.random(size=1) + 0.5)
    maps = maps * (rng.random(maps.shape) < 0.4)
    maps[:, 2] = -np.abs(maps[:, 2])
    maps[:, 3] = 1.5
    maps[0, 4, 0, :4] = [65504, -65504, 6e-8, -0.0]
    return maps.astype(np.float16)


def counted(maps: np.ndarray, batch: int) -> Histogram:
    counter = Counter(maps.shape[1])
    for first in range(0, len(maps), batch):
        counter.count([packed(image) for image in maps[first : first + batch]])
    return counter.histogram()


def same(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.keys, other.keys) and np.array_equal(one.counts, other.counts)


def test_codes_sort_as_values_do() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    np.testing.assert_array_equal(decode(recode(finite)), finite)
    by_value = np.sort(finite)
    assert (np.diff(recode(by_value).astype(int)) >= 0).all()
    assert recode(np.float16([-0.0, 0.0])).tolist() == [0x8000, 0x8000]


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_counts_are_those_of_numpy(seed: int) -> None:
    maps = maps_of(seed, images=11)
    found = counted(maps, batch=4)
    assert found.counts.sum() == maps.size
    for neuron in range(maps.shape[1]):
        values, counts = np.unique(maps[:, neuron] + np.float16(0), return_counts=True)
        mine = found.neurons == neuron
        np.testing.assert_array_equal(found.values[mine], values.astype(np.float32))
        np.testing.assert_array_equal(found.counts[mine], counts)


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_batches_merging_and_subtracting(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = maps_of(seed, images=12)
    whole = counted(maps, batch=12)
    assert same(counted(maps, batch=5), whole)
    assert same(Histogram.merge([counted(maps[:3], 2), counted(maps[3:4], 1), counted(maps[4:], 8)]), whole)
    assert same(whole.subtract(counted(maps[:3], 3)), counted(maps[3:], 9))
    assert whole.subtract(Histogram.empty(whole.channels)) is whole
    monkeypatch.setattr(module, "_COMPACT_AT", 10)
    elsewhere = Counter(whole.channels)
    for part in (maps[:3], maps[3:4], maps[4:]):
        elsewhere.merge(counted(part, batch=2))
    assert same(elsewhere.histogram(), whole)
    assert same(counted(maps, batch=2), whole)


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_large_maps_are_counted_as_small_ones_are(seed: int) -> None:
    """Large maps go through a table, also when some are counted after a histogram was asked for."""
    maps = np.abs(maps_of(seed, images=9, height=23, width=29))
    maps[4:] = maps_of(seed + 1, images=5, height=23, width=29)
    small = maps.reshape(*maps.shape[:2], 23 * 29, 1)
    parts = [small[:, :, first : first + 100] for first in range(0, 23 * 29, 100)]
    expected = Histogram.merge([counted(part, 4) for part in parts])
    assert same(counted(maps, batch=2), expected)
    counter = Counter(maps.shape[1])
    for part in (maps[:5], maps[5:]):
        counter.count([packed(image) for image in part])
        found = counter.histogram()
    assert same(found, expected)


def test_silent_layers_are_counted_in_bounded_memory() -> None:
    """Bits say of each activation that it is 0: 100 kB an image here, and no values."""
    silent = np.zeros((64, 112, 112), np.float16)
    counter = Counter(64)
    tracemalloc.start()
    for _ in range(200):
        counter.count([packed(silent)])
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 << 20, f"{most / 1e6:.0f} MB"
    assert held < 4 << 20
    assert counter.histogram().counts.tolist() == [200 * 112 * 112] * 64


def test_more_than_a_table_can_count() -> None:
    maps = np.full((9, 2, 256, 256), 1.5, np.float16)
    maps[:, 1] = np.float16([0.0, -0.0, -7.0, 3.0] * (1 << 14)).reshape(256, 256)
    expected = {(0, 1.5): 9 << 16, (1, 0.0): 9 << 15, (1, -7.0): 9 << 14, (1, 3.0): 9 << 14}
    found = counted(maps, batch=4)
    keys = zip(found.neurons.tolist(), found.values.tolist(), strict=True)
    assert dict(zip(keys, found.counts.tolist(), strict=True)) == expected


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_merging_in_tables_is_merging_in_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = maps_of(seed, images=12)
    parts = [counted(maps[:3], 2), Histogram.empty(maps.shape[1]), counted(maps[3:4], 1), counted(maps[4:], 8)]
    whole = counted(maps, batch=12)
    assert same(Histogram.merge(parts), whole)
    monkeypatch.setattr(histogram, "_TABLED", 0)
    assert same(Histogram.merge(parts), whole)
    assert same(whole.subtract(counted(maps[:3], 3)), counted(maps[3:], 9))
    assert same(Histogram.merge(parts[1:2]), parts[1])


def test_different_layers_do_not_mix() -> None:
    with pytest.raises(ValueError, match="5 neurons cannot be merged with one of 4"):
        counted(maps_of(0, 2), 1).subtract(counted(maps_of(0, 2)[:, :4], 1))


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.05, 0.005, 1e-9])
def test_thresholds_and_percentiles(seed: int, fraction: float) -> None:
    maps = maps_of(seed, images=9)
    distribution = Distribution.of(counted(maps, batch=4))
    by_neuron = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1).astype(np.float64)
    assert distribution.size == by_neuron.shape[1]
    rank = max(1, int(fraction * by_neuron.shape[1] + 1e-6))
    expected = np.sort(by_neuron, axis=1)[:, -rank]
    np.testing.assert_array_equal(distribution.thresholds(fraction), expected)
    assert (distribution.firing_from(fraction) > 0).all()
    probes = np.array([-1e5, -1, 0, 0.25, 1.5, 65504])
    for probe in probes:
        neurons = np.arange(maps.shape[1])
        below = distribution.below(neurons, np.full(maps.shape[1], probe))
        np.testing.assert_array_equal(below, (by_neuron < max(probe, -65504)).sum(axis=1))
    mean, std = distribution.moments()
    np.testing.assert_allclose(mean, by_neuron.mean(axis=1))
    np.testing.assert_allclose(std, by_neuron.std(axis=1), atol=1e-9)
    for neuron, own in enumerate(by_neuron):
        values, counts = distribution.of_neuron(neuron)
        np.testing.assert_array_equal(np.repeat(values, counts), np.sort(own) + 0.0)
    assert distribution.fits


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_questions_about_one_neuron_or_many(seed: int) -> None:
    maps = maps_of(seed, images=9)
    distribution = Distribution.of(counted(maps, batch=4))
    by_neuron = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1).astype(np.float64)
    rng = np.random.default_rng(seed)
    values = rng.choice(by_neuron.ravel(), 200) + rng.choice([-0.05, 0, 0.05], 200)
    kept = np.clip(values, -65504, 65504).astype(np.float16).astype(np.float64)
    # A derived file may hold codes at any byte.
    odd = np.frombuffer(b"\0" + distribution.codes.tobytes(), np.uint8)[1:].view(np.uint16)
    for neurons in (rng.integers(0, 5, 200), *(np.full(200, neuron) for neuron in range(5))):
        below = (by_neuron[neurons] < kept[:, None]).sum(axis=1)
        np.testing.assert_array_equal(distribution.below(neurons, values), below)
        np.testing.assert_array_equal(replace(distribution, codes=odd).below(neurons, values), below)
        np.testing.assert_allclose(distribution.percentiles(neurons, values), 100 * below / by_neuron.shape[1])
    assert distribution.below(np.empty(0, np.int64), np.empty(0)).shape == (0,)


def test_a_neuron_of_many_activations_and_one_without() -> None:
    """Counts beyond 32 bits, which only a histogram has that was merged from very many shards."""
    codes = [int(code) for code in recode(np.float16([-1, 0, 2]))]
    keys = np.uint32([5 << 16 | code for code in codes])
    alone = Histogram(6, keys, np.array([1 << 33, 1, 6 * (1 << 34) - (1 << 33) - 1]))
    whole = Distribution.of(alone)
    assert (whole.size, whole.channels, whole.ends.tolist()) == (1 << 34, 6, [0, 0, 0, 0, 0, 3])
    keys = np.uint32([neuron << 16 | code for neuron in range(2) for code in codes])
    big = Distribution.of(Histogram(2, keys, np.array([1 << 33, 1, 9, 4, (1 << 33) + 1, 5])))
    assert (big.size, big.cumulative.dtype) == ((1 << 33) + 10, np.uint64)
    assert big.below(np.arange(2), np.float32([1, 1])).tolist() == [(1 << 33) + 1, (1 << 33) + 5]
    assert big.thresholds(1.0).tolist() == [-1, -1]
    assert big.thresholds(0.5).tolist() == [-1, 0]
    assert [big.of_neuron(neuron)[1].tolist() for neuron in (0, 1)] == [[1 << 33, 1, 9], [4, (1 << 33) + 1, 5]]


def test_what_does_not_fit_together_is_told() -> None:
    whole = Distribution.of(counted(maps_of(0, 9), 4))
    empty = Distribution.of(Histogram.empty(5))
    assert whole.fits
    assert empty.fits
    changes: list[dict] = [
        {"size": whole.size + 1}, {"size": 0}, {"codes": whole.codes[:-1]}, {"codes": whole.codes.astype(np.int16)},
        {"codes": whole.codes[None], "cumulative": whole.cumulative[None]}, {"ends": whole.ends.astype(np.int32)},
        {"cumulative": whole.cumulative.astype(np.int64)}, {"ends": whole.ends[:0]}, {"ends": whole.ends[None]},
    ]  # fmt: skip
    for neuron in range(whole.channels):
        for name, place in (("cumulative", whole.ends[neuron] - 1), ("ends", neuron)):
            for value in (0, 2**31):
                changed = getattr(whole, name).copy()
                changed[place] = value
                changes.append({name: changed})
    for change in changes:
        assert not replace(whole, **change).fits, change
    assert not replace(empty, size=7).fits


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_is_a_share(fraction: float) -> None:
    with pytest.raises(InvalidRequest, match="above 0 and at most 1"):
        Distribution.of(counted(maps_of(0, 2), 1)).thresholds(fraction)
