"""Shards -> the derived files of a new generation, then the manifest that publishes them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexer.derive import images, layer, vectors
from indexer.errors import DamagedFile
from indexer.shards.pool import ShardPool
from indexer.shards.reader import Shard
from indexer.store import atomic, cache, layout, mapped
from indexer.store.manifest import Manifest, publish

KEPT_GENERATIONS = 2
"""Derived folders that stay: the published one and the one before it, which a reader may just be opening."""

Report = Callable[[str], None]


def open_shards(index: Path, manifest: Manifest) -> ShardPool:
    """The shards of a manifest, opened when they are asked for; remote ones as copies.

    Asking raises DamagedFile for one that is missing, foreign, or of another configuration.
    """

    def open_shard(number: int) -> Shard:
        info = manifest.shards[number]
        shard = Shard(cache.local(index / info.file, info.file), info.file)
        if shard.attributes.get("configuration") != manifest.configuration.digest:
            raise DamagedFile(info.file, "belongs to an index of another configuration")
        if shard.rows != info.rows:
            raise DamagedFile(info.file, f"holds {shard.rows} images, the manifest says {info.rows}")
        return shard

    return ShardPool(open_shard, len(manifest.shards))


def derive_and_publish(index: Path, manifest: Manifest, report: Report = lambda stage: None) -> Manifest:
    """Derive everything from the shards that ``manifest`` lists and publish it as the next generation.

    Nothing that is published already changes before the last step. Returns the manifest as published.
    """
    generation = manifest.generation + 1
    folder = layout.derived_folder(generation)
    (index / layout.DERIVED).mkdir(exist_ok=True)
    atomic.remove_partial(index / layout.DERIVED)
    atomic.remove(index / folder)
    with open_shards(index, manifest) as shards, atomic.publishing(index / folder) as partial:
        partial.mkdir()
        live, derived, kinds = _write(partial, folder, manifest, shards, report)
    published = replace(
        manifest,
        generation=generation,
        images=live[-1].end if live else 0,
        derived=derived,
        checksums={file: atomic.file_sha256(index / file) for file in derived.values()},
        vectors=kinds,
    )
    publish(index, published)
    _forget_old(index, generation)
    return published


def _write(
    partial: Path, folder: str, manifest: Manifest, shards: ShardPool, report: Report
) -> tuple[list[images.LiveRows], dict[str, str], dict[str, dict[str, Any]]]:
    derived = {"images": f"{folder}/{layout.IMAGES}"}
    kinds: dict[str, dict[str, Any]] = {}
    report("image table")
    live = images.write_image_table(partial / layout.IMAGES, shards, set(manifest.removed))
    table = mapped.map_arrays(partial / layout.IMAGES, layout.IMAGES, images.KIND, images.VERSION)
    for info in manifest.configuration.layers:
        report(f"{info.name}: peaks and statistics")
        file = layout.layer_file(info.name, ".h5")
        layer.write_layer(partial / file, info, shards, live, table["class"])
        derived[f"layer {info.name}"] = f"{folder}/{file}"
        report(f"{info.name}: vectors")
        file, lists = (layout.layer_file(info.name, suffix) for suffix in (".faiss", ".lists"))
        kinds[info.name] = vectors.write_vectors(partial / file, partial / lists, info, shards, live)
        derived[f"vectors {info.name}"] = f"{folder}/{file}"
        if (partial / lists).exists():
            derived[f"lists {info.name}"] = f"{folder}/{lists}"
    return live, derived, kinds


def _forget_old(index: Path, generation: int) -> None:
    for folder in (index / layout.DERIVED).iterdir():
        if folder.name.isdigit() and int(folder.name) <= generation - KEPT_GENERATIONS:
            atomic.remove(folder)
