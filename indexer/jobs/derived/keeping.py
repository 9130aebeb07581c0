"""Publish a generation with a file that later generations list too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from indexer.derive.carried.files import with_carried
from indexer.derive.image_table import ImageTable
from indexer.errors import InvalidRequest
from indexer.index.configuration import LayerInfo
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, publish, read_manifest
from indexer.store.storage import Location


def keep(
    index: Location,
    kind: str,
    layer: LayerInfo,
    write: Callable[[Manifest], str],
    without: Callable[[Manifest], Manifest] = lambda manifest: manifest,
) -> Manifest:
    """Publish a generation whose layer has the file that ``write`` writes, and which is as it was otherwise.

    Parameters
    ----------
    kind : str
        One of `indexer.index.layout.CARRIED`.
    without : callable
        Gives the manifest without what else this file takes the place of.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """
    with writing(index):
        manifest = without(read_manifest(index))
        _check_there(manifest, layer)
        published = with_carried(index, manifest, kind, layer.name, write(manifest))
        published = replace(published, generation=manifest.generation + 1)
        publish(index, published)
        return published


def _check_there(manifest: Manifest, layer: LayerInfo) -> None:
    """Refuse a layer for which something was made, and which the index does not have any more.

    Raises
    ------
    InvalidRequest
    """
    if layer not in manifest.configuration.layers:
        raise InvalidRequest(f"layer {layer.name!r} was dropped or changed meanwhile; nothing was kept")


def shown_images(index: Location, manifest: Manifest) -> np.ndarray:
    """The ids (N,) of the images that a generation shows."""
    return np.asarray(ImageTable(index, manifest.derived["images"]).id)
