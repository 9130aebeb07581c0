"""Work out the scores of a layer's neurons, and keep them in its index."""

from dataclasses import replace

from indexer.defaults import MOST_SCORE_PATCHES, SCORE_PATCHES, SCORE_POOLS
from indexer.derive.carried.files import key_of as carried_key
from indexer.derive.generation import derive_and_publish
from indexer.derive.scores.file import key_of
from indexer.errors import InvalidRequest, NotFound
from indexer.index import layout
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.score_recipe import ScoreRecipe
from indexer.jobs.bounds import check_number
from indexer.jobs.layers import layer_names
from indexer.jobs.plan import refuse_unfinished
from indexer.jobs.reporter import Reporter
from indexer.store.storage import Location


def work_out_scores(
    index: Location,
    layer: str,
    by: str,
    *,
    patches: int = SCORE_PATCHES,
    pool: str = "box",
    reporter: Reporter | None = None,
) -> Manifest:
    """Publish a generation in which the neurons of a layer have scores (`indexer.derive.scores`).

    They are made of kept maps alone; the network does not run. Generations that come later work them out anew where
    their images are others, for as long as the index has both layers.

    Parameters
    ----------
    by : str
        The layer in whose vectors patches are compared.
    patches : int
        How many top patches of each neuron, of different images, 2 to 200.
    pool : {"box", "image"}
        A patch's vector is the mean over the cells in its receptive field, or over all cells of the image.

    Raises
    ------
    NotFound, InvalidRequest, NotAnIndex, IndexBusy, DamagedFile
    """
    check_number("patches", patches, 2, MOST_SCORE_PATCHES)
    if pool not in SCORE_POOLS:
        raise InvalidRequest(f"pool must be one of {', '.join(SCORE_POOLS)}, not {pool!r}")
    if layer == by:
        raise InvalidRequest(f"by must be another layer than {layer}, whose own neurons chose the patches")
    reporter = reporter or Reporter()
    with writing(index):
        manifest = read_manifest(index)
        refuse_unfinished(index, manifest)
        names = layer_names(manifest.configuration)
        for name in (layer, by):
            if name not in names:
                raise NotFound(f"the index has no layer {name!r}; it has {', '.join(sorted(names))}")
        asked = replace(
            manifest,
            scores=manifest.scores | {layer: ScoreRecipe(by, patches, pool)},
            derived={key: file for key, file in manifest.derived.items() if key not in _keys_of_others(layer)},
        )
        return derive_and_publish(index, asked, reporter.stage, unchanged=names)


def _keys_of_others(layer: str) -> tuple[str, str]:
    """The keys of scores that a layer may have had."""
    return key_of(layer), carried_key(layout.ENCODER_SCORES, layer)
