"""The derived file of the scores of a layer's neurons.

::

    clarity, polysemanticity, redundancy (C,) float64     NaN where there are too few patches
    nearest (C,) int32                                    the neuron that is nearest, -1 for none
    groups (C, P) int8                                    group of each top patch, 0 or 1; -1 where there are fewer
    group_clarity (C, 2) float64                          clarity of each group alone, NaN for fewer than two patches
    between (1,) float64                                  the mean cosine of two patches of different neurons
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from indexer.derive.scores.measures import GROUPS
from indexer.errors import DamagedFile
from indexer.index import hdf5
from indexer.index.configuration import LayerInfo
from indexer.index.score_recipe import EncoderRecipe, ScoreRecipe
from indexer.store.storage import Location

KIND: Final = "unitscope scores"
VERSION: Final = 1
FIRST: Final = "scores"
"""The first word of the files' keys in `Manifest.derived`."""
_LARGEST: Final = 2.0
SCORES: Final = ("clarity", "polysemanticity", "redundancy")


def key_of(layer: str) -> str:
    """The key of a layer's file in `Manifest.derived`."""
    return f"{FIRST} {layer}"


@dataclass(frozen=True)
class Scores:
    """The scores of a layer's neurons; see `indexer.derive.scores.measures`.

    Attributes
    ----------
    recipe : ScoreRecipe or EncoderRecipe
    clarity, polysemanticity, redundancy : ndarray (C,) float64
        NaN for neurons that are positive on fewer than two images; redundancy on none.
    nearest : ndarray (C,) int32
        The neuron that redundancy is about, -1 for none.
    groups : ndarray (C, P) int8
        The group of each of a neuron's top patches, one per image by descending peak; -1 where it has fewer.
    group_clarity : ndarray (C, 2) float64
    between : float
        The mean cosine of two patches of different neurons: clarities are to be seen beside it. NaN for one neuron.
    images : ndarray (C, P) int64 or None
        By an encoder: the image of each of these patches, -1 where there is none. None where the patches are the
        neuron's top patches of today.
    """

    recipe: ScoreRecipe | EncoderRecipe
    clarity: np.ndarray
    polysemanticity: np.ndarray
    redundancy: np.ndarray
    nearest: np.ndarray
    groups: np.ndarray
    group_clarity: np.ndarray
    between: float
    images: np.ndarray | None = None


def write_file(path: Path, scores: Scores) -> None:
    """Write a layer's file."""
    with hdf5.create_file(path, KIND, VERSION) as file:
        for name in (*SCORES, "nearest", "groups", "group_clarity"):
            file.create_dataset(name, data=getattr(scores, name))
        file.create_dataset("between", data=np.array([scores.between]))


def read_scores(index: Location, file: str, layer: LayerInfo, recipe: ScoreRecipe) -> Scores:
    """Read the file of a layer.

    Raises
    ------
    DamagedFile
        It is not the file of such a layer and recipe.
    """
    return checked(hdf5.map_arrays(index / file, file, KIND, VERSION), file, layer, recipe)


def checked(
    arrays: Mapping[str, np.ndarray], file: str, layer: LayerInfo, recipe: ScoreRecipe | EncoderRecipe
) -> Scores:  # fmt: skip
    """The scores that the arrays of a file hold.

    Raises
    ------
    DamagedFile
        They are not those of such a layer and recipe.
    """
    shapes = {
        **dict.fromkeys(SCORES, ((layer.channels,), np.float64)),
        "nearest": ((layer.channels,), np.int32),
        "groups": ((layer.channels, recipe.patches), np.int8),
        "group_clarity": ((layer.channels, GROUPS), np.float64),
        "between": ((1,), np.float64),
    }
    for name, (shape, kind) in shapes.items():
        if name not in arrays or arrays[name].shape != shape or arrays[name].dtype != kind:
            raise DamagedFile(file, f"does not hold {name} of its layer")
    own = {name: arrays[name] for name in shapes}
    for name in (*SCORES, "group_clarity", "between"):
        if not bool((np.isnan(own[name]) | (np.abs(own[name]) <= _LARGEST)).all()):
            raise DamagedFile(file, f"holds numbers that {name} cannot be")
    if not _within(own["nearest"], layer.channels) or not _within(own["groups"], GROUPS):
        raise DamagedFile(file, "names neurons or groups that there are not")
    between = float(own.pop("between")[0])
    return Scores(recipe, between=between, **own)


def _within(numbers: np.ndarray, end: int) -> bool:
    return bool(((numbers >= -1) & (numbers < end)).all())
