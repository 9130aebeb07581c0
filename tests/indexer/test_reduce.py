"""What is kept of maps equals a slow twin, whatever the memory layout, with ties before and after rounding."""

import numpy as np
import pytest
import torch

from indexer.errors import BadActivations
from indexer.shards.reduce import reduce_maps


def maps_of(seed: int) -> np.ndarray:
    """Activations (6, 5, 7, 11) so close that many round to the same half; dead, negative and saturated maps."""
    rng = np.random.default_rng(seed)
    maps = (1 + rng.integers(0, 40, (6, 5, 7, 11)) / 8192).astype(np.float32)
    maps[:, 1] = 0
    maps[:, 2] *= -1
    maps[2:4, 3] = rng.integers(-3, 3, (2, 7, 11)) * 50_000
    maps[5, 4] = rng.normal(0, 1, (7, 11))
    return maps


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_batch_is_reduced_as_one_would_by_hand(seed: int, layout: torch.memory_format) -> None:
    maps = maps_of(seed)
    batch = reduce_maps("layer", torch.from_numpy(maps).contiguous(memory_format=layout), ["image"] * 6)
    assert batch.maps.dtype == np.float16
    assert batch.maps.flags.c_contiguous
    np.testing.assert_array_equal(batch.maps, np.clip(maps, -65504, 65504).astype(np.float16))
    assert batch.saturated == (np.abs(maps) > 65504).sum()
    for image in range(6):
        for neuron in range(5):
            values = maps[image, neuron].ravel()
            assert batch.peaks[image, neuron] == values.max()
            assert batch.peak_cells[image, neuron] == int(np.flatnonzero(values == values.max())[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named(bad: float) -> None:
    maps = maps_of(0)
    maps[4, 3, 2, 1] = bad
    with pytest.raises(BadActivations, match=r"layer 'features.1', neuron 3 gives NaN or infinity on the image 4.jpg"):
        reduce_maps("features.1", torch.from_numpy(maps), [f"{number}.jpg" for number in range(6)])
