"""A small index with an atlas of one layer."""

import shutil
from pathlib import Path

from indexer.cli import main

LAYER = "features.7"


def build_atlas(index: Path, folder: Path, points: int, fitted: int) -> Path:
    """A copy of an index, ``folder/index``, with an atlas of so many cells, of which so many are laid out by t-SNE."""
    own = Path(shutil.copytree(index, folder / "index"))
    asked = ["--points", str(points), "--fitted", str(fitted), "--perplexity", "8"]
    assert main(["atlas", str(own), "--layer", LAYER, *asked]) == 0
    return own


def build_neuron_atlas(index: Path, folder: Path) -> Path:
    """A copy of an index, ``folder/index``, with an atlas of the neurons of one layer."""
    own = Path(shutil.copytree(index, folder / "index"))
    assert main(["neuron-atlas", str(own), "--layer", LAYER, "--perplexity", "8"]) == 0
    return own
