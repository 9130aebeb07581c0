"""The file of a layer's atlas of neurons: those that fire for the same things lie together.

::

    neurons (P,) int32        which neurons, ascending; those whose peak is the same on all images have no place
    layout (P, 2) float32     where each lies: x and y, 0 to 1
    recipe (7,) int64         images and generation it was made of, over how many of the images neurons were compared,
                              seed, perplexity, sampled neurons, and how many neighbours of each were compared
    kept (2,) float64         share of true neighbours that the layout keeps, and that two principal components keep

Generations that come later list the file too (`indexer.derive.carried`). Where a neuron lies is then still what the
images of the first said; which patches are shown there, the index of today says.
"""

from dataclasses import astuple, dataclass
from typing import Final

import numpy as np

from indexer.derive.carried.files import Sides, read_carried, write_carried
from indexer.errors import DamagedFile
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.store.storage import Location

KIND: Final = "unitscope atlas of neurons"
VERSION: Final = 1


@dataclass(frozen=True)
class NeuronRecipe:
    """What an atlas of neurons was made of.

    Attributes
    ----------
    images : int
        Images of the index then.
    generation : int
        The generation of the index then.
    over : int
        Over how many of these images neurons were compared: all, or so many by lot.
    seed : int
    perplexity : int
        That of t-SNE.
    compared : int
        Neurons on which ``kept`` was measured: all, or so many by lot.
    neighbours : int
        How many nearest neighbours of each were compared.
    """

    images: int
    generation: int
    over: int
    seed: int
    perplexity: int
    compared: int
    neighbours: int


@dataclass(frozen=True)
class NeuronAtlas:
    """Neurons of a layer laid out in two dimensions; see the module's description.

    Attributes
    ----------
    neurons : ndarray (P,) int32
    layout : ndarray (P, 2) float32
    recipe : NeuronRecipe
    kept, kept_by_pca : float
        Share of a neuron's nearest neighbours by correlation that are among as many nearest in the layout; and among
        as many nearest by the first two principal components.
    """

    neurons: np.ndarray
    layout: np.ndarray
    recipe: NeuronRecipe
    kept: float
    kept_by_pca: float

    def __len__(self) -> int:
        return len(self.neurons)


def write_neuron_atlas(index: Location, layer: str, atlas: NeuronAtlas) -> str:
    """Write a layer's file; gives its path relative to the index."""
    arrays: dict[str, np.ndarray] = {
        "neurons": np.ascontiguousarray(atlas.neurons, np.int32),
        "layout": np.ascontiguousarray(atlas.layout, np.float32),
        "recipe": np.array(astuple(atlas.recipe), np.int64),
        "kept": np.array([atlas.kept, atlas.kept_by_pca]),
    }
    return write_carried(index, layout.NEURON_ATLASES, layer, (KIND, VERSION), arrays)


def read_neuron_atlas(index: Location, file: str, layer: LayerInfo) -> NeuronAtlas:
    """Read the file of a layer.

    Raises
    ------
    DamagedFile
        It is not the file of such a layer.
    """
    wanted: dict[str, tuple[type[np.generic], Sides]] = {
        "neurons": (np.int32, (None,)),
        "layout": (np.float32, (None, 2)),
        "recipe": (np.int64, (7,)),
        "kept": (np.float64, (2,)),
    }
    arrays = read_carried(index, file, (KIND, VERSION), wanted, "an atlas of neurons")
    neurons, places = arrays["neurons"], arrays["layout"]
    within = ((places >= 0) & (places <= 1)).all() and ((neurons >= 0) & (neurons < layer.channels)).all()
    if not within or not (np.diff(neurons) > 0).all():
        raise DamagedFile(file, "names neurons or coordinates that the layer does not have")
    kept, by_pca = arrays["kept"].tolist()
    return NeuronAtlas(neurons, places, NeuronRecipe(*arrays["recipe"].tolist()), kept, by_pca)
