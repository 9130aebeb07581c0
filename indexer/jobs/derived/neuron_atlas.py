"""Make the atlas of a layer's neurons, and keep it in its index."""

from collections.abc import Callable

import numpy as np

from indexer.atlas.fitting import check_enough, fitted_layout, perplexity_for, principal, scaled
from indexer.atlas.kept import COMPARED, kept_share
from indexer.atlas.likeness import drawn_images, peak_units
from indexer.defaults import ATLAS_PERPLEXITY
from indexer.derive.carried.atlas import NEIGHBOURS
from indexer.derive.carried.neuron_atlas import NeuronAtlas, NeuronRecipe, write_neuron_atlas
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.manifest import Manifest
from indexer.jobs.derived.atlas import check_number
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
    check_number("seed", seed, 0, (1 << 63) - 1)
    rng = np.random.default_rng(seed)
    report("comparing neurons")
    rows = drawn_images(len(index.images), of_layer.info.channels, rng)
    neurons, units = peak_units(of_layer.peaks, rows)
    check_enough(len(neurons), "neurons whose peak is not the same on all images")
    report(f"laying out {len(neurons)} neurons")
    places = fitted_layout(units, perplexity)
    compared = np.sort(rng.permutation(len(neurons))[:COMPARED])
    near = min(NEIGHBOURS, len(neurons) - 2)
    kept, by_pca = (kept_share(units, shown, compared, near) for shown in (places, principal(units)))
    recipe = NeuronRecipe(
        len(index.images), index.generation, len(rows), seed, perplexity_for(len(neurons), perplexity), len(compared),
        near,
    )  # fmt: skip
    return NeuronAtlas(neurons.astype(np.int32), scaled(places).astype(np.float32), recipe, kept, by_pca)


def keep_neuron_atlas(index: Location, layer: LayerInfo, atlas: NeuronAtlas) -> Manifest:
    """Publish a generation whose layer has this atlas of its neurons, and which is as it was otherwise.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """
    return keep(index, layout.NEURON_ATLASES, layer, lambda manifest: write_neuron_atlas(index, layer.name, atlas))
