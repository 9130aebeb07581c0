"""The files of an index and their paths.

::

    INDEX/
      manifest.json                  the published generation; the only file that is ever replaced
      plan.jsonl                     the job in progress, if any: what it indexes, in which shards
      lock                           held by the job that writes; in a bucket: lease.json
      shards/000000.h5               kept activations of a run of images
      dictionaries/LAYER~NAME.safetensors   a dictionary of a layer, if any
      derived/000001/images.h5       the image table
      derived/000001/labels.jsonl    paths and classes that have changed since their shard was written, if any
      derived/000001/LAYER.h5        peaks by neuron, order, histogram, statistics
      derived/000001/LAYER.faiss     the cells' activation vectors
      derived/000001/LAYER.lists     the inverted lists of a large FAISS index
      derived/000001/LAYER.scores.h5 the scores of a layer's neurons, if any
      effective/LAYER.DIGEST.h5      the effective receptive fields of a layer, if any
      atlas/LAYER.DIGEST.h5          the atlas of a layer, if any
      patch-vectors/LAYER.DIGEST.h5  an image-text encoder's vectors of a layer's top patches, if any
      neuron-atlas/LAYER.DIGEST.h5   the atlas of its neurons, if any
      encoder-scores/LAYER.DIGEST.h5 the scores of its neurons by an encoder, if any
      made/LAYER/DIGEST/000412.png   images made for neurons, if any; see `indexer.synthesis.kept`
      originals/PATH                 the original images, if the index was unpacked with them
"""

from urllib.parse import quote

from indexer.store.storage import Location

MANIFEST = "manifest.json"
PLAN = "plan.jsonl"
SHARDS = "shards"
DERIVED = "derived"
DICTIONARIES = "dictionaries"
EFFECTIVE = "effective"
ATLASES = "atlas"
PATCH_VECTORS = "patch-vectors"
NEURON_ATLASES = "neuron-atlas"
ENCODER_SCORES = "encoder-scores"
CARRIED = (EFFECTIVE, ATLASES, PATCH_VECTORS, NEURON_ATLASES, ENCODER_SCORES)
"""Folders of derived files that outlive a generation, called after the first word of their keys; see
`indexer.derive.carried`."""
MADE = "made"
ORIGINALS = "originals"
IMAGES = "images.h5"
LABELS = "labels.jsonl"


def manifest_path(index: Location) -> Location:
    return index / MANIFEST


def plan_path(index: Location) -> Location:
    return index / PLAN


def shard_file(number: int) -> str:
    """A shard's path relative to the index."""
    return f"{SHARDS}/{number:06d}.h5"


def derived_folder(generation: int) -> str:
    """The folder of a generation's derived files, relative to the index."""
    return f"{DERIVED}/{generation:06d}"


def layer_file(layer: str, suffix: str) -> str:
    """A layer's file name within a generation's folder. It is quoted, as module names may hold any character."""
    return quote(layer, safe="") + suffix
