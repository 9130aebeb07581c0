"""Where the bytes of an index are."""

from collections import Counter
from collections.abc import Callable

from indexer.derive import layer as derived_layer
from indexer.errors import DamagedFile
from indexer.index import hdf5, layout
from indexer.index.manifest import Manifest
from indexer.shards import format as shard_format
from indexer.store.storage import Location, storage_at

KINDS = (
    "activations", "peaks in shards", "histograms in shards", "images in shards", "originals", "peaks",
    "highest images of each cell", "histograms", "statistics", "vectors", "lists of vectors", "image table", "labels",
    "effective fields", "scores", "atlases", "patch vectors", "structure of HDF5 files", "manifest", "made images",
    "unreadable", "not of this generation",
)  # fmt: skip
_FILES = {"images": "image table", "labels": "labels", "vectors": "vectors", "lists": "lists of vectors",
          layout.EFFECTIVE: "effective fields", "scores": "scores", layout.ATLASES: "atlases",
          layout.PATCH_VECTORS: "patch vectors", layout.NEURON_ATLASES: "atlases",
          layout.ENCODER_SCORES: "scores"}  # fmt: skip
"""Kinds of whole files, by the first word of their key in `Manifest.derived`."""
_PEAKS = ("peaks", "peak_cells")


def bytes_by_kind(index: Location, manifest: Manifest) -> dict[str, int]:
    """How many bytes each of `KINDS` takes; those of which there are none are left out.

    Files that are missing count as nothing. A file that cannot be read counts as ``unreadable``, and one in the folders
    of the index that the manifest does not list as ``not of this generation``.
    """
    found: Counter[str] = Counter()
    for file in manifest.shard_checksums:
        found += _in_file(index, file, shard_format.KIND, shard_format.VERSION, _kind_in_shard)
    for key, file in manifest.derived.items():
        first = key.split(" ")[0]
        if first == "layer":
            found += _in_file(index, file, derived_layer.KIND, derived_layer.VERSION, _kind_in_layer)
        else:
            found[_FILES.get(first, "unreadable")] += _size(index / file)
    found["made images"] = sum(_size(file) for file in _below(index / layout.MADE))
    found["manifest"] = _size(layout.manifest_path(index))
    listed = set(manifest.files)
    found["not of this generation"] = sum(_size(index / file) for file in _present(index) if file not in listed)
    return {kind: found[kind] for kind in KINDS if found[kind]}


def _in_file(index: Location, file: str, kind: str, version: int, kind_of: Callable[[str], str]) -> Counter[str]:
    """Bytes of an HDF5 file by kind."""
    size = _size(index / file)
    if not size:
        return Counter()
    try:
        stored = hdf5.stored_bytes(index / file, file, kind, version)
    except DamagedFile:
        return Counter({"unreadable": size})
    found: Counter[str] = Counter()
    for path, count in stored.items():
        found[kind_of(path)] += count
    if found.total() > size:
        return Counter({"unreadable": size})
    found["structure of HDF5 files"] = size - found.total()
    return found


def _kind_in_shard(path: str) -> str:
    group, *_, last = parts = path.split("/")
    if group != "layers":
        return "originals" if group == "originals" else "images in shards"
    if len(parts) > 3 and parts[-2] == "histogram":
        return "histograms in shards"
    return "peaks in shards" if last in _PEAKS else "activations"


def _kind_in_layer(path: str) -> str:
    if path in (*_PEAKS, "peaks_by_image", "order"):
        return "peaks"
    if path.startswith("highest/"):
        return "highest images of each cell"
    return "histograms" if path.startswith("histogram/") else "statistics"


def _present(index: Location) -> list[str]:
    """The files that lie in the folders of an index, relative to it."""
    generations = _names(index / layout.DERIVED)
    folders = [layout.SHARDS, *layout.CARRIED, *(f"{layout.DERIVED}/{name}" for name in generations)]
    return [f"{folder}/{name}" for folder in folders for name in _names(index / folder)]


def _below(folder: Location) -> list[Location]:
    """Every file below a folder, which need not be there."""
    storage = storage_at(folder)
    return [] if storage.is_lost_folder() else [folder / str(entry.path) for entry in storage.files()]


def _names(folder: Location) -> list[str]:
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def _size(file: Location) -> int:
    return file.stat().st_size if file.is_file() else 0
