"""The smallest change of an image that the network answers otherwise."""

from typing import Any

import numpy as np

from service.jobs.kinds.pictured import handed_back, indexed, uploaded
from service.jobs.kinds.work import Work


def run_fool(work: Work) -> dict[str, Any]:
    """Parameters: ``image`` and those of `indexer.synthesis.fooling.fool`."""
    return _fooled(work, indexed(work, work.parameters["image"]))


def run_upload_fool(work: Work) -> dict[str, Any]:
    """Parameters: those of `indexer.synthesis.fooling.fool`."""
    return _fooled(work, uploaded(work))


def _fooled(work: Work, pixels: np.ndarray) -> dict[str, Any]:
    from indexer.synthesis.fooling import fool  # imports torch
    from indexer.synthesis.recipe import to_png

    asked, image = work.parameters, work.parameters.get("image")
    with work.network() as network:
        found = fool(
            work.index, network, pixels,
            target=asked["target"], norm=asked["norm"], most=asked["most"], stop=work.stop,
        )  # fmt: skip
    files = handed_back(to_png(found.before, {"image": image}), found.png())
    return found.as_dict() | {"image": image, "images": files}
