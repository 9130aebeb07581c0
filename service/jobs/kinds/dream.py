"""An image in which a layer sees more of what it sees already."""

from typing import Any

import numpy as np

from service.jobs.kinds.pictured import handed_back, indexed, uploaded
from service.jobs.kinds.work import Work


def run_dream(work: Work) -> dict[str, Any]:
    """Parameters: ``image`` and those of `indexer.synthesis.dream.Dream`."""
    return _dreamt(work, indexed(work, work.parameters["image"]))


def run_upload_dream(work: Work) -> dict[str, Any]:
    """Parameters: those of `indexer.synthesis.dream.Dream`."""
    return _dreamt(work, uploaded(work))


def _dreamt(work: Work, pixels: np.ndarray) -> dict[str, Any]:
    from indexer.synthesis.dream import Dream, dream  # imports torch
    from indexer.synthesis.recipe import to_png

    image = work.parameters.get("image")
    names = ("layer", "neurons", "octaves", "zoom", "steps", "rate", "seed")
    wanted = Dream(**{name: work.parameters[name] for name in names})
    with work.network() as network:
        made = dream(work.index, network, pixels, wanted, work.progress, work.stop)
    files = handed_back(to_png(pixels, {"image": image}), made.png())
    return {"image": image, "recipe": made.recipe, "images": files}
