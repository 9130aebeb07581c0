"""Erase removed images: write the shards that hold any again without them, then delete the old shards."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from indexer.derive.generation import Report, derive_and_publish
from indexer.errors import InvalidRequest
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, ShardInfo, read_manifest
from indexer.jobs.plan import unfinished_plan
from indexer.shards.reader import Shard
from indexer.shards.records import LayerBatch
from indexer.shards.writer import ShardWriter
from indexer.store import atomic
from indexer.store.storage import Location
from indexer.system.cores import cores

_ROWS_AT_ONCE = 32


def compact(index: Location, report: Report = lambda stage: None) -> Manifest:
    """Rewrite the shards that hold removed images, publish, and delete every shard file that is no longer listed.

    A reader that has the old generation open can read it until it opens the new one.

    Raises
    ------
    InvalidRequest
        The index has an unfinished job.
    NotAnIndex, IndexBusy, DamagedFile
    """
    with writing(index):
        manifest = read_manifest(index)
        if unfinished_plan(index, manifest) is not None:
            raise InvalidRequest("an unfinished job is there; finish it first, by the command that started it")
        removed = set(manifest.removed)
        if removed:
            next_number = 1 + max(int(Path(shard.file).stem) for shard in manifest.shards)
            shards: list[ShardInfo] = []
            for info in manifest.shards:
                report(info.file)
                rewritten = _rewrite(index, manifest.configuration, info, removed, next_number)
                next_number += rewritten is not info and rewritten is not None
                shards += [rewritten] if rewritten is not None else []
            manifest = derive_and_publish(index, replace(manifest, shards=shards, removed=[]), report)
        _delete_unlisted(index, manifest)
        return manifest


def _rewrite(
    index: Location, configuration: Configuration, info: ShardInfo, removed: set[int], number: int
) -> ShardInfo | None:
    with Shard(index / info.file, info.file) as old:
        table = old.images()
        rows = [row for row in range(old.rows) if table[row].id not in removed]
        if len(rows) == old.rows:
            return info
        if not rows:
            return None
        file = layout.shard_file(number)
        layers = {layer.name: (layer.channels, layer.height, layer.width) for layer in configuration.layers}
        attributes = {**old.attributes, "number": number}
        with (
            ThreadPoolExecutor(cores()) as pool,
            atomic.publishing(index / file) as partial,
            ShardWriter(partial, layers, attributes, configuration.keep_images, pool) as writer,
        ):
            _copy(old, writer, rows, list(layers), configuration.keep_images)
            kept, skipped = writer.close()
    return ShardInfo(file, kept, atomic.file_sha256(index / file), info.first_id, info.end_id, skipped)


def _copy(old: Shard, writer: ShardWriter, rows: list[int], layers: list[str], keep_images: bool) -> None:
    table = old.images()
    peaks = {layer: old.peaks(layer) for layer in layers}
    for path, reason in old.skipped():
        writer.skip(path, reason)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        images = [replace(table[row], data=old.original(row) if keep_images else None) for row in part]
        batches = {}
        for layer in layers:
            maps = np.stack([old.maps(layer, row) for row in part])
            values, cells = peaks[layer]
            saturated = 0 if first else old.saturated(layer)  # counted for the whole shard, not for each image
            batches[layer] = LayerBatch(maps, values[:, part].T.copy(), cells[:, part].T.copy(), saturated)
        writer.add(images, batches)


def _delete_unlisted(index: Location, manifest: Manifest) -> None:
    listed = {Path(shard.file).name for shard in manifest.shards}
    for path in (index / layout.SHARDS).iterdir():
        if path.name not in listed:
            atomic.remove(path)
