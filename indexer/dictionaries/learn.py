"""A layer of an index -> a dictionary, by one of three methods."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from indexer.defaults import DICTIONARY_METHODS
from indexer.dictionaries.autoencoder import Settings, learn_autoencoder
from indexer.dictionaries.factors import learn_kmeans, learn_nmf
from indexer.dictionaries.metrics import measured, stability
from indexer.dictionaries.sample import take_sample
from indexer.errors import InvalidRequest
from indexer.network.encoding.encoders import Encoder
from indexer.network.encoding.files import Dictionary
from indexer.query.index import Index

_MAX_COMPONENTS = 65536


@dataclass(frozen=True)
class Recipe:
    """How a dictionary is learned.

    Attributes
    ----------
    layer, method : str
        One of `indexer.defaults.DICTIONARY_METHODS`.
    components : int
    seed : int
    cells : int
        At most so many vectors of the kept maps are learned from.
    k, steps, rate
        Of an autoencoder: atoms that a vector has on average, steps of Adam and its learning rate.
    """

    layer: str
    method: str
    components: int
    seed: int = 0
    cells: int = 100_000
    k: int = 16
    steps: int = 2000
    rate: float = 2e-3

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items()
                if self.method == "sae" or name not in ("k", "steps", "rate")}  # fmt: skip


def learn_dictionary(index: Index, recipe: Recipe, told: Callable[[int], None] = lambda steps: None) -> Dictionary:
    """Learn a dictionary twice, from two seeds; the first is given, and the second says how stable it is.

    Raises
    ------
    InvalidRequest
        The recipe does not suit the layer.
    NotFound, NotInstalled
    """
    _check(recipe)
    sample = take_sample(index, recipe.layer, recipe.cells, recipe.seed)
    if len(sample.learned) < recipe.components:
        raise InvalidRequest(
            f"{recipe.components} components need at least as many vectors, and {len(sample.learned)} were taken; "
            "ask for fewer components or more cells"
        )
    first, second = (_learned(sample.learned, recipe, seed, told) for seed in (recipe.seed, recipe.seed + 1))
    metrics = measured(first, sample.held_out) | {"stability": stability(first, second)}
    return Dictionary(first, recipe.as_dict() | {"learned_vectors": len(sample.learned), "metrics": metrics})


def _learned(vectors: np.ndarray, recipe: Recipe, seed: int, told: Callable[[int], None]) -> Encoder:
    match recipe.method:
        case "kmeans":
            return learn_kmeans(vectors, recipe.components, seed)
        case "nmf":
            return learn_nmf(vectors, recipe.components, seed)
    return learn_autoencoder(vectors, recipe.components, seed, Settings(recipe.k, recipe.steps, recipe.rate), told)


def _check(recipe: Recipe) -> None:
    if recipe.method not in DICTIONARY_METHODS:
        raise InvalidRequest(f"method must be one of {', '.join(DICTIONARY_METHODS)}, not {recipe.method!r}")
    if not 1 <= recipe.components <= _MAX_COMPONENTS:
        raise InvalidRequest(f"components must be 1 to {_MAX_COMPONENTS}, not {recipe.components}")
    if recipe.method == "sae" and not 1 <= recipe.k <= recipe.components:
        raise InvalidRequest(f"k must be 1 to the number of components, {recipe.components}, not {recipe.k}")
    if recipe.cells < 1 or recipe.steps < 1 or recipe.rate <= 0 or recipe.seed < 0:
        raise InvalidRequest("cells, steps and rate must be positive, and seed at least 0")
