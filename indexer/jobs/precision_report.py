"""The cost of a precision: how much of each neuron's order of images by peak still agrees with float32."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from indexer.defaults import FLOAT32
from indexer.derive.labels import read_labels
from indexer.derive.sources import open_shards
from indexer.images.listing import ImageFile
from indexer.index.manifest import Manifest, read_manifest
from indexer.jobs.pipeline.decode import Decoded, decode
from indexer.network.forward import Network
from indexer.network.restore import network_of
from indexer.store.remote import parse_location
from indexer.store.storage import Location

IMAGES = 64
"""How many images of the first shard are compared."""
TOP = 20


@dataclass(frozen=True)
class KeptRanks:
    """How far the top images of a layer's neurons agree with float32.

    Attributes
    ----------
    images : int
        The number of images among which each neuron's top images are sought.
    top : int
        The number of top images of each neuron.
    neurons : int
        The number of neurons compared: those whose peaks in float32 are not the same on all images.
    same : float
        The mean share of a neuron's top images that are among its top images in float32.
    in_place : float
        The mean share that also has the same rank.
    """

    layer: str
    images: int
    top: int
    neurons: int
    same: float
    in_place: float


def ranks_kept(index: Location, device: str | None = None) -> list[KeptRanks]:
    """Run some images of an index again in float32, and compare each neuron's top images; ties go to the lower id.

    Returns
    -------
    list of KeptRanks
        One for each layer; empty if none of the images exists any longer.

    Raises
    ------
    NotAnIndex, DamagedFile, ConfigurationMismatch, ModelUnavailable
    """
    manifest = read_manifest(index)
    network = network_of(replace(manifest.configuration, precision=FLOAT32), device=device)
    with open_shards(index, manifest) as shards:
        images = [*map(read_labels(index, manifest).of, shards[0].images()[:IMAGES])]
        decoded = {
            row: result.pixels
            for row, image in enumerate(images)
            if isinstance(result := _decode(manifest, image.path), Decoded)
            and result.image.sha256 == image.sha256
        }  # fmt: skip
        if not decoded:
            return []
        exact = peaks_of(network, list(decoded.values()), manifest.batch_size)
        return [compare(layer, exact[layer], shards[0].peaks(layer)[0][:, list(decoded)]) for layer in network.traces]


def _decode(manifest: Manifest, path: str) -> object:
    return decode(
        parse_location(manifest.image_root), 0, ImageFile(path, None), manifest.configuration.preprocessing, False
    )


def peaks_of(network: Network, pixels: list[np.ndarray], size: int) -> dict[str, np.ndarray]:
    """Peaks (C, n) float32 of each layer on n images (h, w, 3) uint8, run in batches of ``size``."""

    def peaks(layer: str, maps: torch.Tensor) -> np.ndarray:
        return maps.to(torch.float32).amax(dim=(2, 3)).cpu().numpy().T

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for first in range(0, len(pixels), size):
            yield network.run(np.stack(pixels[first : first + size]), peaks)

    results = list(batches())
    return {layer: np.concatenate([batch[layer] for batch in results], axis=1) for layer in network.traces}


def compare(layer: str, exact: np.ndarray, ours: np.ndarray) -> KeptRanks:
    """How far the orders of images by ``exact`` and ``ours`` (C, n) agree; ties go to the lower image."""
    images, top = exact.shape[1], min(TOP, exact.shape[1])
    differing = exact.max(axis=1) > exact.min(axis=1)
    exact_top, our_top = (
        np.argsort(-peaks[differing], axis=1, kind="stable")[:, :top] for peaks in (exact, ours)
    )  # fmt: skip
    same = (exact_top[:, :, None] == our_top[:, None, :]).any(axis=2)
    share = (float(part.mean()) if part.size else 1.0 for part in (same, exact_top == our_top))
    return KeptRanks(layer, images, top, int(differing.sum()), *share)
