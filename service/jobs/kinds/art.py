"""The content of one image in the style of another."""

from typing import Any

import numpy as np

from service.jobs.kinds.pictured import handed_back, indexed, uploaded
from service.jobs.kinds.work import Work


def run_art(work: Work) -> dict[str, Any]:
    """Parameters: ``image``, ``style`` and those of `indexer.synthesis.art.art`."""
    asked = work.parameters
    return _painted(work, indexed(work, asked["image"]), indexed(work, asked["style"]))


def run_upload_art(work: Work) -> dict[str, Any]:
    """Parameters: one of ``image`` and ``style``, as the upload is the other; and those of `run_art`."""
    content, style = (
        uploaded(work) if work.parameters[name] is None else indexed(work, work.parameters[name])
        for name in ("image", "style")
    )
    return _painted(work, content, style)


def _painted(work: Work, content: np.ndarray, style: np.ndarray) -> dict[str, Any]:
    from indexer.synthesis.art import art  # imports torch
    from indexer.synthesis.recipe import to_png

    asked = work.parameters
    with work.network() as network:
        made = art(
            work.index, network, content, style, content_layer=asked["layer"], style_layers=asked["style_layers"],
            weight=asked["weight"], steps=asked["steps"], rate=asked["rate"], progress=work.progress, stop=work.stop,
        )  # fmt: skip
    shown = ((content, asked["image"]), (style, asked["style"]))
    before, likened = (to_png(pixels, {"image": image}) for pixels, image in shown)
    return {
        "image": asked["image"], "style_image": asked["style"], "recipe": made.recipe, **made.distances,
        "images": handed_back(before, made.png(), likened),
    }  # fmt: skip
