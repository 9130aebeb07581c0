"""The versions of an index's pictures, as links carry them."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from indexer.derive.carried.files import key_of
from indexer.index import layout
from indexer.query.index import Index
from indexer.query.records import ImageRecord
from service.http.etags import digest, tag

PICTURE_FORMAT: Final = 3
"""Count up when the same request for a picture gives other pixels than before."""


@lru_cache(maxsize=4096)  # several links an item carry the same
def _of_picture(sha256: str, network: str) -> str:
    return tag(sha256, network, PICTURE_FORMAT)


@lru_cache(maxsize=4096)  # of a page of patches all are of one neuron
def _of_scale(network: str, layer: str, neuron: int, maximum: float) -> hashlib.blake2b:
    """What `tag` does with these, before anything else is digested."""
    return digest(network, PICTURE_FORMAT, layer, neuron, maximum)


@dataclass(frozen=True)
class Versions:
    """The versions of an index's pictures, as links carry them.

    Attributes
    ----------
    index : Index
    network : str
        Digest of the index's configuration.
    state : str
        Digest of the index's generation.
    """

    index: Index
    network: str
    state: str

    def of_patch(self, image: ImageRecord) -> str:
        """Changes with what decides how a patch looks: the file, the network, and how patches are drawn."""
        return _of_picture(image.sha256, self.network)

    def of_sheet(self) -> str:
        """Changes with every generation: others may be the top patches then."""
        return tag(self.state, PICTURE_FORMAT)

    def of_effective(self, version: str, layer: str) -> str:
        """A picture's version, as it is where the picture shows effective fields of a layer."""
        return tag(version, self.index.manifest.derived.get(key_of(layout.EFFECTIVE, layer)))

    def of_heat(self, image: ImageRecord, layer: str, neuron: int) -> str:
        """Changes also with a neuron's maximum in the index, on the scale of which its map is shown."""
        maximum = float(self.index.layer(layer).statistics["maximum"][neuron])
        own = _of_scale(self.network, layer, neuron, maximum).copy()
        own.update(image.sha256.encode())
        return own.hexdigest()
