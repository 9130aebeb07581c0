"""Shards that an interrupted job has left: they are whole, though no manifest lists them yet."""

from collections.abc import Callable
from functools import partial

from indexer.errors import DamagedFile
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.shard_info import ShardInfo
from indexer.jobs.plan import ShardPlan
from indexer.shards.reader import Shard
from indexer.store import atomic
from indexer.store.storage import Location


def planned_shard(index: Location, plan: ShardPlan, configuration: Configuration) -> ShardInfo | None:
    """The shard of a plan, if it is there: with each of the plan's images, used or skipped, and no others."""
    planned = partial(_is_planned, plan)
    return written_shard(index, plan.number, configuration, plan.ids[0], plan.ids[-1] + 1, planned)


def _is_planned(plan: ShardPlan, shard: Shard) -> bool:
    # Ids alone do not tell: where a plan was removed and the folder has changed, other images have the same ids now.
    left = {id: (file.path, file.class_) for id, file in zip(plan.ids, plan.files, strict=True)}
    if any(left.pop(image.id, None) != (image.path, image.class_) for image in shard.images()):
        return False
    return sorted(path for path, _ in left.values()) == sorted(path for path, _ in shard.skipped())


def written_shard(
    index: Location,
    number: int,
    configuration: Configuration,
    first_id: int,
    end_id: int,
    holds: Callable[[Shard], bool] = lambda shard: True,
) -> ShardInfo | None:
    """The shard of this number, if it is there, covers this run of ids and ``holds`` what it must."""
    file = layout.shard_file(number)
    try:
        with Shard(index / file, file) as shard:
            expected = {"configuration": configuration.digest, "first_id": first_id, "end_id": end_id}
            if any(shard.attributes.get(name) != value for name, value in expected.items()):
                return None
            if not holds(shard):
                return None
            sha256 = atomic.file_sha256(index / file)
            return ShardInfo(file, shard.rows, sha256, first_id, end_id, len(shard.skipped()))
    except DamagedFile:
        return None
