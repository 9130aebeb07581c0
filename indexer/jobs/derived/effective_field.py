"""Measure the effective receptive fields of a layer, and keep them in its index."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from indexer.defaults import EFFECTIVE_IMAGES
from indexer.derive.carried.effective import write_effective
from indexer.errors import ImageRejected, ImageUnavailable
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.manifest import Manifest
from indexer.jobs.bounds import MOST_SEED, check_number
from indexer.jobs.derived.keeping import keep
from indexer.network.gradients import Tell, effective_field
from indexer.query.index import Index
from indexer.receptive_field.effective import EffectiveField
from indexer.store.storage import Location

MOST_IMAGES: Final = 4096
_BATCH: Final = 8
"""Images a batch, always as many, as they decide which random signs an image gets."""


@dataclass(frozen=True)
class Measured:
    """The effective fields of a layer, and how many images of the sample were left out because they cannot be read."""

    layer: LayerInfo
    field: EffectiveField
    left_out: int


def measure_effective_field(
    index: Index,
    layer: str,
    *,
    images: int = EFFECTIVE_IMAGES,
    seed: int = 0,
    weights: str | None = None,
    device: str | None = None,
    model: str | None = None,
    tell: Tell = lambda done, total: None,
) -> Measured:
    """Measure the effective receptive fields of a layer on a sample of an index's images.

    Parameters
    ----------
    images : int
        How many images to draw, 1 to 4096, without replacement; all, if there are fewer. All are held in memory.
    seed : int
        The same seed draws the same images and signs.
    weights, device, model
        Those of `indexer.network.restore.network_of`.

    Raises
    ------
    NotFound, InvalidRequest, ImageUnavailable, ModelUnavailable, ConfigurationMismatch, BadActivations, UserCodeFailed
    """
    info = index.layer(layer).info
    check_number("images", images, 1, MOST_IMAGES)
    check_number("seed", seed, 0, MOST_SEED)
    rows = sampled_rows(len(index.images), images, seed)
    pixels = list(_pixels(index, rows.tolist()))
    if not pixels:
        raise ImageUnavailable("none of the originals of the sample can be read", changed=False)
    one = replace(index.manifest.configuration, layers=(info,))
    from indexer.network.restore import network_of

    network = network_of(one, weights, device, model)
    batch = 1 if network.batch_size == 1 else _BATCH
    batches = [np.stack(pixels[first : first + batch]) for first in range(0, len(pixels), batch)]
    return Measured(info, effective_field(network, layer, batches, seed, tell), len(rows) - len(pixels))


def sampled_rows(of: int, images: int, seed: int) -> np.ndarray:
    """The rows (n,) of an image table of so many rows that a sample of at most ``images`` has."""
    return np.random.default_rng(seed).permutation(of)[:images]


def keep_effective_field(index: Location, measured: Measured) -> Manifest:
    """Publish a generation whose layer has these effective fields, and which is as it was otherwise.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """
    return keep(
        index, layout.EFFECTIVE, measured.layer, lambda _: write_effective(index, measured.layer.name, measured.field)
    )


def _pixels(index: Index, rows: list[int]) -> Iterator[np.ndarray]:
    """The network's input of each image that can be read."""
    preprocessing = index.manifest.configuration.preprocessing
    for row in rows:
        try:
            picture = index.picture(index.image(int(index.images.id[row])))
        except (ImageUnavailable, ImageRejected):
            continue
        yield preprocessing.pixels(picture)
