"""Erase removed images: write the shards that hold any again without them, then delete the old shards."""

from dataclasses import replace
from pathlib import Path

from indexer.derive.generation import Report, derive_and_publish
from indexer.errors import InvalidRequest
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, ShardInfo, read_manifest
from indexer.jobs.plan import unfinished_plan
from indexer.jobs.upkeep.rewriting import rewritten
from indexer.shards.reader import Shard
from indexer.store import atomic
from indexer.store.storage import Location


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
                without = _rewrite(index, manifest.configuration, info, removed, next_number)
                next_number += without is not info and without is not None
                shards += [without] if without is not None else []
            manifest = derive_and_publish(index, replace(manifest, shards=shards, removed=[]), report)
        delete_unlisted(index, manifest)
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
        return rewritten(index, configuration, info, old, rows, number)


def delete_unlisted(index: Location, manifest: Manifest) -> None:
    """Delete every shard file that the manifest does not list."""
    listed = {Path(shard.file).name for shard in manifest.shards}
    for path in (index / layout.SHARDS).iterdir():
        if path.name not in listed:
            atomic.remove(path)
