"""The images made for neurons that lie beside an index: which are damaged, and which belong to nothing any more."""

from collections.abc import Iterator

from indexer.errors import DamagedFile
from indexer.index.layout import MADE
from indexer.index.manifest import Manifest
from indexer.store import atomic
from indexer.store.storage import Location, storage_at
from indexer.synthesis.kept import folder_of, neuron_of, read_kept


def damaged(index: Location, manifest: Manifest) -> Iterator[DamagedFile]:
    """Files of the index's own layers and weights that are not what was written."""
    for file, (layer, neuron) in _known(index, manifest).items():
        try:
            read_kept(index, file.rpartition("/")[0], manifest.configuration, layer, neuron)
        except DamagedFile as error:
            yield error


def own(index: Location, manifest: Manifest) -> list[str]:
    """The files of the index's own layers and weights."""
    return list(_known(index, manifest))


def leftovers(index: Location, manifest: Manifest) -> list[str]:
    """Files of other layers or other weights than the index has, and what is no made image at all."""
    known = own(index, manifest)
    return [file for file in _files(index) if file not in known]


def remove_wrong(index: Location, manifest: Manifest) -> None:
    """Remove both; `make optimal` makes anew what belongs to the index."""
    for file in [error.file for error in damaged(index, manifest)] + leftovers(index, manifest):
        atomic.remove(index / file)


def _known(index: Location, manifest: Manifest) -> dict[str, tuple[str, int]]:
    """Layer and neuron by file, of those that belong to the index."""
    configuration = manifest.configuration
    layers = {folder_of(configuration, layer.name): layer for layer in configuration.layers}
    found = {}
    for file in _files(index):
        folder, _, name = file.rpartition("/")
        layer, neuron = layers.get(folder), neuron_of(name)
        if layer is not None and neuron is not None and neuron < layer.channels:
            found[file] = layer.name, neuron
    return found


def _files(index: Location) -> list[str]:
    storage = storage_at(index / MADE)
    if storage.is_lost_folder():
        return []
    return sorted(f"{MADE}/{entry.path}" for entry in storage.files() if entry.link is None)
