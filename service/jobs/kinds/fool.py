"""The smallest change of an image that the network answers otherwise."""

import base64
from typing import Any

from service.jobs.kinds.work import Work


def run_fool(work: Work) -> dict[str, Any]:
    """Parameters: ``image`` and those of `indexer.synthesis.fooling.fool`."""
    from indexer.synthesis.fooling import fool  # imports torch
    from indexer.synthesis.recipe import to_png

    asked, index = work.parameters, work.index
    pixels = index.manifest.configuration.preprocessing.pixels(index.picture(index.image(asked["image"])))
    with work.network() as network:
        found = fool(
            index, network, pixels, target=asked["target"], norm=asked["norm"], most=asked["most"], stop=work.stop
        )  # fmt: skip
    files = (to_png(found.before, {"image": asked["image"]}), found.png())
    images = [{"png": base64.b64encode(file).decode()} for file in files]
    return found.as_dict() | {"image": asked["image"], "images": images}
