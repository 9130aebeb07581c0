"""Erase removed images and dropped layers: write the shards that hold any again without them, then delete the old."""

from dataclasses import replace

import numpy as np

from indexer.derive.carried.atlas import read_atlas, write_atlas
from indexer.derive.carried.files import key_of, with_carried
from indexer.derive.carried.patch_vectors import read_patch_vectors, write_patch_vectors
from indexer.derive.generation import Report, derive_and_publish
from indexer.derive.image_table import ImageTable
from indexer.derive.scores.encoder_file import read_encoder_scores, without_images, write_encoder_scores
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.shard_info import MAX_PARTS, ShardInfo, next_number
from indexer.jobs.plan import refuse_unfinished
from indexer.jobs.upkeep.rewriting import rewritten
from indexer.shards.listed import open_listed
from indexer.store import atomic
from indexer.store.storage import Location


def compact(index: Location, report: Report = lambda stage: None) -> Manifest:
    """Rewrite the shards that hold removed images or dropped layers, publish, and delete the files no longer listed.

    A shard of as many files as there may be becomes one file, too. A reader that has the old generation open can read
    it until it opens the new one.

    Raises
    ------
    InvalidRequest
        The index has an unfinished job.
    NotAnIndex, IndexBusy, DamagedFile
    """
    with writing(index):
        manifest = read_manifest(index)
        refuse_unfinished(index, manifest)
        layers = {layer.name for layer in manifest.configuration.layers}
        number = next_number(manifest.shards)
        shards: list[ShardInfo] = []
        for info in manifest.shards:
            report(info.file)
            without = _without(index, manifest, info, layers, number)
            number += without is not info and without is not None
            shards += [without] if without is not None else []
        if manifest.removed or shards != manifest.shards:
            compacted = replace(_carried_without_removed(index, manifest), shards=shards, removed=[])
            unchanged = () if manifest.removed else layers
            manifest = derive_and_publish(index, compacted, report, unchanged=unchanged)
        delete_unlisted(index, manifest)
        return manifest


def _without(index: Location, manifest: Manifest, info: ShardInfo, layers: set[str], number: int) -> ShardInfo | None:
    """A shard without removed images and dropped layers: itself where it has none, else a new one of this number.

    A shard that may have no further file becomes a new one as well. None if all its images were removed.
    """
    removed = set(manifest.removed)
    with open_listed(info, index.__truediv__) as old:
        rows = [row for row, id in enumerate(old.ids.tolist()) if id not in removed]
        if len(rows) == old.rows and layers.issuperset(old.layers()) and len(info.parts) < MAX_PARTS:
            return info
        if not rows:
            return None
        return rewritten(index, manifest.configuration, info, old, rows, number)


def _carried_without_removed(index: Location, manifest: Manifest) -> Manifest:
    """The manifest with carried files that are of the images alone that answers show."""
    ids = np.asarray(ImageTable(index, manifest.derived["images"]).id)
    for layer in manifest.configuration.layers:
        for kind, without in _OF_IMAGES:
            file = manifest.derived.get(key_of(kind, layer.name))
            left = None if file is None else without(index, file, layer, ids)
            if left is not None:
                manifest = with_carried(index, manifest, kind, layer.name, left)
    return manifest


def _atlas_of(index: Location, file: str, layer: LayerInfo, ids: np.ndarray) -> str | None:
    """The file of an atlas of these images alone; None where it is that already."""
    atlas = read_atlas(index, file, layer)
    return None if np.isin(atlas.images, ids).all() else write_atlas(index, layer.name, atlas.of_images(ids))


def _patch_vectors_of(index: Location, file: str, layer: LayerInfo, ids: np.ndarray) -> str | None:
    """As `_atlas_of`, of the vectors of patches."""
    made = read_patch_vectors(index, file, layer)
    return None if np.isin(made.images, ids).all() else write_patch_vectors(index, layer.name, made.of_images(ids))


def _encoder_scores_of(index: Location, file: str, layer: LayerInfo, ids: np.ndarray) -> str | None:
    """As `_atlas_of`, of scores by an encoder."""
    return write_encoder_scores(index, layer.name, without_images(read_encoder_scores(index, file, layer), ids))


_OF_IMAGES = (
    (layout.ATLASES, _atlas_of), (layout.PATCH_VECTORS, _patch_vectors_of), (layout.ENCODER_SCORES, _encoder_scores_of),
)  # fmt: skip


def delete_unlisted(index: Location, manifest: Manifest) -> None:
    """Delete every file of shards, of dictionaries and of `layout.CARRIED` that the manifest does not list."""
    for folder in (layout.SHARDS, layout.DICTIONARIES, *layout.CARRIED):
        if (index / folder).is_dir():
            for path in (index / folder).iterdir():
                if f"{folder}/{path.name}" not in manifest.files:
                    atomic.remove(path)
