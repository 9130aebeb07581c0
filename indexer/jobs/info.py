"""A description of an index, for a person or a program."""

from typing import Any

from indexer.derive.image_table import ImageTable
from indexer.derive.sources import open_shards
from indexer.index import layout
from indexer.index.manifest import Manifest, read_manifest
from indexer.jobs.space import bytes_by_kind
from indexer.store.storage import Location


def describe(index: Location) -> dict[str, Any]:
    """Model, layers, counts and bytes of an index.

    Raises
    ------
    NotAnIndex, DamagedFile
    """
    manifest = read_manifest(index)
    configuration = manifest.configuration
    return {
        "generation": manifest.generation,
        "model": configuration.model,
        "weights": configuration.weights,
        "weights_sha256": configuration.weights_digest,
        "precision": configuration.precision,
        "preprocessing": configuration.preprocessing.to_json(),
        "layers": [
            {"name": layer.name, "shape": [layer.channels, layer.height, layer.width],
             "receptive_field": layer.field.kind, "receptive_field_reason": layer.field.reason,
             "layout": str(layer.layout) if layer.layout else None, "vectors": manifest.vectors.get(layer.name),
             "dictionary": layer.dictionary.about() if layer.dictionary else None}
            for layer in configuration.layers
        ],
        "image_root": manifest.image_root,
        "image_lists": [source.path for source in manifest.intake.lists],
        "follow_links": manifest.intake.follow_links,
        "max_pixels": manifest.intake.max_pixels,
        "images": manifest.images,
        "removed": len(manifest.removed),
        "skipped": len(manifest.skipped) + sum(shard.skipped for shard in manifest.shards),
        "left_out_by_ending": manifest.endings,
        "relabelled": manifest.relabelled,
        "shards": len(manifest.shards),
        "bytes": _bytes(index, manifest),
        "unfinished_job": layout.plan_path(index).exists(),
    }  # fmt: skip


def skipped_images(index: Location, manifest: Manifest | None = None) -> list[tuple[str, str]]:
    """Every image that could not be used, and why. Images that a later try could use are not among them.

    ``manifest`` is the one that a job returned; it may list images that the published one does not.

    Raises
    ------
    NotAnIndex, DamagedFile
    """
    manifest = manifest or read_manifest(index)
    with open_shards(index, manifest) as shards:
        skipped = {pair for shard in shards for pair in shard.skipped()}.union(map(tuple, manifest.skipped))
    table = ImageTable(index, manifest.derived["images"])
    return sorted((path, reason) for path, reason in skipped if table.find_path(path) is None)


def saturated_activations(index: Location, manifest: Manifest) -> dict[str, int]:
    """How many activations of each layer were clipped to the range of float16."""
    counts = dict.fromkeys((layer.name for layer in manifest.configuration.layers), 0)
    with open_shards(index, manifest) as shards:
        for shard in shards:
            for layer in counts:
                counts[layer] += shard.saturated(layer)
    return counts


def _bytes(index: Location, manifest: Manifest) -> dict[str, Any]:
    kinds = bytes_by_kind(index, manifest)
    images = max(1, manifest.images)
    return {
        "total": sum(kinds.values()),
        "an_image": round(sum(kinds.values()) / images),
        "kinds": {kind: {"bytes": size, "an_image": round(size / images)} for kind, size in kinds.items()},
    }
