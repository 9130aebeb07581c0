"""Encode the top patches of a layer's neurons, and keep their vectors in its index, so that texts find neurons."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from indexer.defaults import MOST_TEXT_PATCHES, TEXT_PATCHES
from indexer.derive.carried.patch_vectors import LONGEST, EncoderName, PatchVectors, write_patch_vectors
from indexer.describe.encoder import Checked, Encoder
from indexer.errors import InvalidRequest
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.manifest import Manifest
from indexer.jobs.bounds import check_number
from indexer.jobs.derived.encoding import Crops, encode
from indexer.jobs.derived.keeping import keep, shown_images
from indexer.query.index import Index
from indexer.query.searching.by_text import top_cells
from indexer.store.storage import Location


@dataclass(frozen=True)
class Encoded:
    """What was encoded.

    Attributes
    ----------
    layer : LayerInfo
    vectors : PatchVectors
    reused : int
        How many of the patches had a vector of this encoder already.
    lost : list of str
        Paths of images whose originals cannot be read any more.
    """

    layer: LayerInfo
    vectors: PatchVectors
    reused: int
    lost: list[str]


def encode_patches(
    index: Index,
    layer: str,
    encoder: Encoder,
    *,
    patches: int = TEXT_PATCHES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Encoded:
    """Encode the top patches of each neuron of a layer, those of one image once; the network does not run.

    A patch that has a vector of the same encoder keeps it, so that a second run after ``add`` encodes what is new.

    Parameters
    ----------
    patches : int
        How many of each neuron, of different images, 2 to 200.
    progress : callable
        Gets how many patches are encoded, and how many there are to encode.

    Raises
    ------
    NotFound, InvalidRequest, UserCodeFailed
    """
    info = index.layer(layer).info
    check_number("patches", patches, 2, MOST_TEXT_PATCHES)
    by = EncoderName(encoder.name, encoder.digest)
    for what, text in (("name", by.name), ("digest", by.digest)):
        if not isinstance(text, str) or not 0 < len(text.encode()) <= LONGEST:
            raise InvalidRequest(f"the {what} of the encoder must be a text of 1 to {LONGEST} bytes, not {text!r:.100}")
    rows, cells = _wanted(index, layer, patches)
    old = index.patch_vectors(layer) if index.has_patch_vectors(layer) else None
    places = np.full(len(rows), -1)
    if old is not None and old.encoder == by:
        places = old.find(np.asarray(index.images.id)[rows], cells)
    new = np.flatnonzero(places < 0)
    crops = Crops(index, layer)
    made, at = encode(Checked(encoder), crops, rows[new], cells[new], progress)
    kept = np.flatnonzero(places >= 0)
    vectors = [made] if old is None or not len(kept) else [old.vectors[places[kept]], made]
    taken = np.concatenate([kept if old is not None else kept[:0], new[at]])
    if not len(taken):
        raise InvalidRequest("no patch could be encoded: none of the originals is there; --images says where they are")
    if len({part.shape[1] for part in vectors if len(part)}) > 1:
        raise InvalidRequest(f"the encoder {by.name} gives vectors of another length than before, by the same digest")
    order = np.argsort(taken, kind="stable")
    together = np.concatenate([part for part in vectors if len(part)])[order]
    chosen = taken[order]
    ids = np.asarray(index.images.id)[rows[chosen]]
    found = PatchVectors(ids, cells[chosen], together, by, patches, (len(index.images), index.generation))
    return Encoded(info, found, len(kept), list(crops.lost.values()))


def keep_patch_vectors(index: Location, encoded: Encoded) -> Manifest:
    """Publish a generation whose layer has these vectors, and which is as it was otherwise.

    Those of images that were removed meanwhile are left out.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """

    def write(manifest: Manifest) -> str:
        return write_patch_vectors(index, encoded.layer.name, encoded.vectors.of_images(shown_images(index, manifest)))

    return keep(index, layout.PATCH_VECTORS, encoded.layer, write)


def _wanted(index: Index, layer: str, patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and cells (P,) of all neurons' top patches, each once, by row and cell."""
    tops = top_cells(index, layer, patches)
    pairs = np.unique(np.stack([tops.rows[tops.counts], tops.cells[tops.counts]], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]
