"""Make the atlas of a layer's neurons, and keep it in its index."""

from collections.abc import Callable

import numpy as np

from indexer.atlas.fitting import check_enough, scaled
from indexer.atlas.laying_out import laid_out
from indexer.atlas.likeness import drawn_images, peak_units
from indexer.defaults import ATLAS_PERPLEXITY
from indexer.derive.carried.neuron_atlas import NeuronAtlas, NeuronRecipe, write_neuron_atlas
from indexer.index.configuration import LayerInfo
from indexer.index.layout import NEURON_ATLASES
from indexer.index.manifest import Manifest
from indexer.jobs.bounds import MOST_SEED, check_number
from indexer.jobs.derived.keeping import keep
from indexer.query.index import Index
from indexer.store.storage import Location


def make_neuron_atlas(
    index: Index,
    layer: str,
    *,
    perplexity: int = ATLAS_PERPLEXITY,
    seed: int = 0,
    report: Callable[[str], None] = lambda stage: None,
) -> NeuronAtlas:
    """Lay the neurons of a layer out in two dimensions, those that fire for the same things next to each other.

    The network does not run, and no maps are read: peaks of all images say how alike neurons are
    (`indexer.atlas.likeness`). Memory holds these peaks, or as many, drawn by lot, as fit into 256 MB.

    Parameters
    ----------
    perplexity : int
        That of t-SNE, 2 to 500: about how many neighbours count.
    seed : int
        Decides which images and neurons are drawn, where not all are. The same seed gives the same atlas.

    Raises
    ------
    NotFound, InvalidRequest, DamagedFile
    """
    of_layer = index.layer(layer)
    check_number("perplexity", perplexity, 2, 500)
    check_number("seed", seed, 0, MOST_SEED)
    rng = np.random.default_rng(seed)
    report("comparing neurons")
    rows = drawn_images(len(index.images), of_layer.info.channels, rng)
    neurons, units = peak_units(of_layer.peaks, rows)
    check_enough(len(neurons), "neurons whose peak is not the same on all images")
    report(f"laying out {len(neurons)} neurons")
    fit = laid_out(units, perplexity, rng)
    recipe = NeuronRecipe(
        len(index.images), index.generation, len(rows), seed, fit.perplexity, fit.compared, fit.neighbours
    )
    layout = scaled(fit.places).astype(np.float32)
    return NeuronAtlas(neurons.astype(np.int32), layout, recipe, fit.kept, fit.kept_by_pca)


def keep_neuron_atlas(index: Location, layer: LayerInfo, atlas: NeuronAtlas) -> Manifest:
    """Publish a generation whose layer has this atlas of its neurons, and which is as it was otherwise.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """
    return keep(index, NEURON_ATLASES, layer, lambda manifest: write_neuron_atlas(index, layer.name, atlas))
