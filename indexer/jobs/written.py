"""Shards that an interrupted job has left: they are whole, though no manifest lists them yet."""

from indexer.errors import DamagedFile
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.shard_info import ShardInfo
from indexer.shards.reader import Shard
from indexer.store import atomic
from indexer.store.storage import Location


def written_shard(
    index: Location, number: int, configuration: Configuration, first_id: int, end_id: int
) -> ShardInfo | None:
    """The shard of this number, if it is there and covers this run of ids."""
    file = layout.shard_file(number)
    try:
        with Shard(index / file, file) as shard:
            expected = {"configuration": configuration.digest, "first_id": first_id, "end_id": end_id}
            if any(shard.attributes.get(name) != value for name, value in expected.items()):
                return None
            sha256 = atomic.file_sha256(index / file)
            return ShardInfo(file, shard.rows, sha256, first_id, end_id, len(shard.skipped()))
    except DamagedFile:
        return None
