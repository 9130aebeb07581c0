"""Derived files that later generations list too, because they depend on more than the images of one generation.

Each lies outside of the generations' folders, in that of its kind, under a name that its content decides:
``KIND/LAYER.DIGEST.h5``. Its key in `Manifest.derived` is ``KIND LAYER``. A kind is one of `layout.CARRIED`.
"""

import hashlib
from dataclasses import replace

import numpy as np

from indexer.errors import DamagedFile
from indexer.index import hdf5, layout
from indexer.index.manifest import Manifest
from indexer.store import atomic
from indexer.store.storage import Location

Sides = tuple[int | None, ...]


def key_of(kind: str, layer: str) -> str:
    """The key of a layer's file in `Manifest.derived`."""
    return f"{kind} {layer}"


def carried_files(manifest: Manifest) -> dict[str, str]:
    """The files of the layers that an index has, by their keys in `Manifest.derived`."""
    layers = [layer.name for layer in manifest.configuration.layers]
    keys = [key_of(kind, layer) for kind in layout.CARRIED for layer in layers]
    return {key: manifest.derived[key] for key in keys if key in manifest.derived}


def write_carried(index: Location, kind: str, layer: str, form: tuple[str, int], arrays: dict[str, np.ndarray]) -> str:
    """Write a layer's file of arrays, in HDF5 of this kind and version (``form``); gives its path within the index."""
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).hexdigest()
    (index / kind).mkdir(exist_ok=True)
    file = f"{kind}/{layout.layer_file(layer, '')}.{digest[:16]}.h5"
    with atomic.publishing(index / file) as partial, hdf5.create_file(partial, *form) as out:
        for name, array in arrays.items():
            out.create_dataset(name, data=array)
    return file


def read_carried(
    index: Location, file: str, form: tuple[str, int], columns: dict[str, tuple[type[np.generic], Sides]], what: str
) -> dict[str, np.ndarray]:
    """The arrays of a file that `write_carried` wrote.

    Parameters
    ----------
    columns : dict
        Type and shape of each array; a side that is None is as long as the first array, and one of -1 has any length.
    what : str
        Whose arrays these are, in the error.

    Raises
    ------
    DamagedFile
        An array is missing, or is another.
    """
    arrays = hdf5.map_arrays(index / file, file, *form)
    length = len(arrays.get(next(iter(columns)), np.empty(0)))
    for name, (kind, sides) in columns.items():
        wanted = [length if side is None else side for side in sides]
        if name not in arrays or arrays[name].dtype != kind or not _of_shape(arrays[name], wanted):
            raise DamagedFile(file, f"does not hold {name} of {what}")
    return {name: arrays[name] for name in columns}


def _of_shape(array: np.ndarray, wanted: list[int]) -> bool:
    return array.ndim == len(wanted) and all(side in (-1, own) for side, own in zip(wanted, array.shape, strict=True))


def with_carried(index: Location, manifest: Manifest, kind: str, layer: str, file: str) -> Manifest:
    """The manifest with a layer's file in the place of the one before."""
    key = key_of(kind, layer)
    others = {name: sha256 for name, sha256 in manifest.checksums.items() if name != manifest.derived.get(key)}
    return replace(
        manifest,
        derived=manifest.derived | {key: file},
        checksums=others | {file: atomic.file_sha256(index / file)},
    )
