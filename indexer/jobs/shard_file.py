"""The file of a shard whose activations are known: made of the maps of other shards."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.shard_info import ShardInfo
from indexer.shards.writer import ShardWriter
from indexer.store import atomic
from indexer.store.storage import Location
from indexer.system.cores import cores


def attributes_of(configuration: Configuration, number: int, first_id: int, end_id: int) -> dict[str, str | int]:
    """What a shard's file says of itself."""
    return {"configuration": configuration.digest, "number": number, "first_id": first_id, "end_id": end_id}


def write_shard(
    index: Location,
    configuration: Configuration,
    number: int,
    first_id: int,
    end_id: int,
    fill: Callable[[ShardWriter], None],
) -> ShardInfo:
    """Write the shard of a number, which covers these ids; ``fill`` adds its images.

    Raises
    ------
    DamagedFile
        ``fill`` meets a file that cannot be read; then nothing is left of the new one.
    """
    file = layout.shard_file(number)
    attributes = attributes_of(configuration, number, first_id, end_id)
    with (
        ThreadPoolExecutor(cores()) as pool,
        atomic.publishing(index / file) as partial,
        ShardWriter(partial, configuration.shapes, attributes, configuration.keep_images, pool) as writer,
    ):
        fill(writer)
        kept, skipped = writer.close()
    return ShardInfo(file, kept, atomic.file_sha256(index / file), first_id, end_id, skipped)
