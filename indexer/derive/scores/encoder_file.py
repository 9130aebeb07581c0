"""The file of scores that were worked out in the vectors of an encoder.

::

    those of `indexer.derive.scores.file`, and
    images (C, P) int64       the image of each top patch, by descending peak; -1 where there are fewer, or its original
                              was not there
    recipe (n,) uint8         an `EncoderRecipe` in JSON

No network and no encoder runs when images are added or removed, so these scores stay as they were made, and say of
which generation. Later generations list the file too (`indexer.derive.carried`).
"""

import json
from dataclasses import asdict, replace

import numpy as np

from indexer.derive.carried.files import write_carried
from indexer.derive.scores.file import SCORES, Scores, checked
from indexer.errors import DamagedFile
from indexer.index import hdf5, layout
from indexer.index.configuration import LayerInfo
from indexer.index.score_recipe import EncoderRecipe
from indexer.store.storage import Location

KIND = "unitscope scores by an encoder"
VERSION = 1
_FIELDS = {"name": str, "digest": str, "patches": int, "images": int, "generation": int, "lost": int}


def write_encoder_scores(index: Location, layer: str, scores: Scores) -> str:
    """Write a layer's file; gives its path relative to the index."""
    assert isinstance(scores.recipe, EncoderRecipe)
    assert scores.images is not None
    recipe = json.dumps(asdict(scores.recipe), sort_keys=True).encode("utf-8", "backslashreplace")
    arrays = {name: np.ascontiguousarray(getattr(scores, name)) for name in (*SCORES, "nearest", "groups")} | {
        "group_clarity": np.ascontiguousarray(scores.group_clarity),
        "between": np.array([scores.between]),
        "images": np.ascontiguousarray(scores.images, np.int64),
        "recipe": np.frombuffer(recipe, np.uint8),
    }
    return write_carried(index, layout.ENCODER_SCORES, layer, (KIND, VERSION), arrays)


def read_encoder_scores(index: Location, file: str, layer: LayerInfo) -> Scores:
    """Read the file of a layer.

    Raises
    ------
    DamagedFile
        It is not the file of such a layer.
    """
    arrays = hdf5.map_arrays(index / file, file, KIND, VERSION)
    recipe = _recipe(arrays.get("recipe", np.empty(0, np.uint8)), file)
    scores = checked(arrays, file, layer, recipe)
    images = arrays.get("images", np.empty(0))
    if images.shape != scores.groups.shape or images.dtype != np.int64 or bool((images < -1).any()):
        raise DamagedFile(file, "does not hold the images of its layer's patches")
    return replace(scores, images=images)


def _recipe(data: np.ndarray, file: str) -> EncoderRecipe:
    try:
        fields = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise DamagedFile(file, "does not say by what its scores were made") from error
    if not isinstance(fields, dict) or {name: type(value) for name, value in fields.items()} != _FIELDS:
        raise DamagedFile(file, "does not say by what its scores were made")
    recipe = EncoderRecipe(**fields)
    if min(recipe.patches, recipe.images, recipe.generation, recipe.lost) < 0:
        raise DamagedFile(file, "says of its scores what cannot be")
    return recipe


def without_images(scores: Scores, shown: np.ndarray) -> Scores:
    """The scores without the numbers of images that are not among those shown (N,); figures stay as they were made."""
    assert scores.images is not None
    left = np.isin(scores.images, shown)
    return replace(
        scores,
        images=np.where(left, scores.images, -1),
        groups=np.where(left, scores.groups, -1).astype(np.int8),
    )
