"""A shard -> another file with some of its images, without running the network."""

from collections.abc import Sequence
from dataclasses import replace

from indexer.index.configuration import Configuration
from indexer.index.shard_info import ShardInfo
from indexer.jobs.shard_file import write_shard
from indexer.shards.maps.packer import packed
from indexer.shards.reader import Shard
from indexer.shards.records import LayerBatch
from indexer.shards.writer import ShardWriter
from indexer.store.storage import Location

_ROWS_AT_ONCE = 32


def rewritten(
    index: Location, configuration: Configuration, info: ShardInfo, old: Shard, rows: Sequence[int], number: int
) -> ShardInfo:
    """Write these rows of an open shard as the shard of another number.

    Raises
    ------
    DamagedFile
        The old one cannot be read.
    """
    layers, keep_images = list(configuration.shapes), configuration.keep_images
    return write_shard(
        index, configuration, number, info.first_id, info.end_id,
        lambda writer: _copy(old, writer, rows, layers, keep_images),
    )  # fmt: skip


def _copy(old: Shard, writer: ShardWriter, rows: Sequence[int], layers: list[str], keep_images: bool) -> None:
    table = old.images()
    peaks = {layer: old.peaks(layer) for layer in layers}
    for path, reason in old.skipped():
        writer.skip(path, reason)
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        part = rows[first : first + _ROWS_AT_ONCE]
        images = [replace(table[row], data=old.original(row) if keep_images else None) for row in part]
        batches = {}
        for layer in layers:
            maps = [packed(old.maps(layer, row)) for row in part]
            values, cells = peaks[layer]
            saturated = 0 if first else old.saturated(layer)  # counted for the whole shard, not for each image
            batches[layer] = LayerBatch(maps, values[:, part].T.copy(), cells[:, part].T.copy(), saturated)
        writer.add(images, batches)
