"""Rewrite an index of an older format in today's, without running the network."""

from dataclasses import replace

from indexer.derive.generation import Report, derive_and_publish
from indexer.errors import DamagedFile, InvalidRequest
from indexer.index import layout
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest, read_older_manifest
from indexer.index.shard_info import ShardInfo, next_number
from indexer.jobs.upkeep.compact import delete_unlisted
from indexer.jobs.upkeep.rewriting import rewritten
from indexer.jobs.written import written_shard
from indexer.shards.older_reader import OlderShard
from indexer.store import atomic
from indexer.store.storage import Location


def upgrade(index: Location, report: Report = lambda stage: None) -> Manifest | None:
    """Write all shards again, derive everything from them, publish, and delete the old shards.

    Until the new generation is published, the old one is as it was. A run that was interrupted is taken up again by the
    next: shards that were written whole are kept. An index of today's format is left alone: returns None.

    Raises
    ------
    InvalidRequest
        An unfinished job of the older program is there.
    NotAnIndex, IndexBusy, DamagedFile
    """
    if read_older_manifest(index) is None:
        read_manifest(index)
        return None
    with writing(index, new=True):
        older = read_older_manifest(index)
        if older is None:  # another process has upgraded it meanwhile
            return None
        if layout.plan_path(index).exists():
            raise InvalidRequest(
                f"an unfinished job of an older program is there; finish it with that program, or give it up by "
                f"deleting {layout.PLAN}"
            )
        first = next_number(older.shards)
        shards = []
        for number, info in enumerate(older.shards, start=first):
            report(info.file)
            shards.append(_upgraded(index, older, info, number))
        manifest = derive_and_publish(index, replace(older, shards=shards), report)
        delete_unlisted(index, manifest)
        return manifest


def _upgraded(index: Location, manifest: Manifest, info: ShardInfo, number: int) -> ShardInfo:
    existing = written_shard(index, number, manifest.configuration, info.first_id, info.end_id)
    if existing is not None and existing.rows == info.rows:
        return existing
    if atomic.file_sha256(index / info.file) != info.sha256:
        raise DamagedFile(info.file, "is damaged; repair the index with the program that made it, then upgrade it")
    with OlderShard(index / info.file, info.file) as old:
        return rewritten(index, manifest.configuration, info, old, range(old.rows), number)
