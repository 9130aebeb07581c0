"""Whether the files of an index can be read at all, found out in a process of its own.

HDF5 is a C library, and a file made for it can crash the process that opens it, or make it allocate without bounds.
``examine(path)`` reads whatever it would read of an index in another process, of bounded memory and time. What is
merely damaged is left to those who open the index: they refuse it in the same way, and unharmed.
"""

import contextlib
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from indexer.derive import image_table, layer
from indexer.derive.carried import atlas, effective, neuron_atlas, patch_vectors
from indexer.derive.scores import encoder_file
from indexer.derive.scores import file as scores
from indexer.errors import DamagedFile, UnitscopeError
from indexer.index import hdf5, layout
from indexer.index.manifest import Manifest, read_manifest
from indexer.shards.reader import Shard
from indexer.store.remote import parse_location
from indexer.store.storage import Location

MEMORY: Final = 4 << 30
"""Bytes of memory allowed beyond what the libraries take and twice the files, which are mapped."""
SECONDS: Final = 60
BYTES_PER_SECOND: Final = 50_000_000
WAITED: Final = 10
"""How many times as long may pass by the clock: a pipe, say, takes no time of the processor, and never ends."""


def examine(path: Location) -> None:
    """Read the files of an index in another process.

    Raises
    ------
    DamagedFile
        A file makes its reader crash, or take too much memory or time.
    """
    command = [sys.executable, "-m", __name__, str(path.resolve())]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if ended.returncode:
        read = ended.stdout.decode(errors="replace").splitlines()
        raise DamagedFile(read[-1] if read else "manifest.json", "harms the process that reads it")


def main(path: Location) -> None:
    """Read everything, naming each file first."""
    try:
        manifest = read_manifest(path)
    except UnitscopeError:
        return
    _limit(path, manifest)
    kinds = {
        "images": (image_table.KIND, image_table.VERSION), "layer": (layer.KIND, layer.VERSION),
        layout.EFFECTIVE: (effective.KIND, effective.VERSION), scores.FIRST: (scores.KIND, scores.VERSION),
        layout.ATLASES: (atlas.KIND, atlas.VERSION), layout.NEURON_ATLASES: (neuron_atlas.KIND, neuron_atlas.VERSION),
        layout.PATCH_VECTORS: (patch_vectors.KIND, patch_vectors.VERSION),
        layout.ENCODER_SCORES: (encoder_file.KIND, encoder_file.VERSION),
    }  # fmt: skip
    for name, file in manifest.derived.items():
        if kind := kinds.get(name.partition(" ")[0]):
            print(file, flush=True)
            with contextlib.suppress(UnitscopeError):
                hdf5.map_arrays(path / file, file, *kind)
    layers = {info.name for info in manifest.configuration.layers}
    for file in manifest.shard_checksums:
        print(file, flush=True)
        with contextlib.suppress(UnitscopeError):
            _read_shard(path / file, layers)


def _read_shard(path: Location, layers: set[str]) -> None:
    with Shard(path) as shard:
        shard.images()
        shard.skipped()
        for name in layers.intersection(shard.layers()):
            shard.check_maps(name)


def _limit(path: Location, manifest: Manifest) -> None:
    size = sum((path / file).stat().st_size for file in manifest.files if (path / file).is_file())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()  # by libraries, mostly
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY + 2 * size,) * 2)
    seconds = SECONDS + size // BYTES_PER_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    signal.setitimer(signal.ITIMER_REAL, WAITED * seconds)


if __name__ == "__main__":
    main(parse_location(sys.argv[1]))
