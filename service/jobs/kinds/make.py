"""Images made for neurons."""

import base64
from typing import TYPE_CHECKING, Any

from service.jobs.kinds.work import Work

if TYPE_CHECKING:
    from indexer.synthesis.optimal import Optimal


def run_make(work: Work) -> dict[str, Any]:
    """Parameters: ``use``, and those of `indexer.synthesis.optimal.Maker`."""
    from indexer.synthesis.optimal import Maker  # imports torch
    from indexer.synthesis.recipe import Settings

    asked = work.parameters
    settings = Settings(**{name: asked[name] for name in ("way", "aim", "steps", "rate", "seed")})
    with work.network() as network:
        maker = Maker(work.index, network, asked["layer"], settings)
        made = maker.make(
            asked["neurons"], lambda step: work.progress(step, settings.steps), work.stop
        )  # fmt: skip
    return {
        "use": asked["use"], "layer": asked["layer"], "images": [_image(one) for one in made], "unmoved": maker.unmoved,
        "note": maker.note,
    }  # fmt: skip


def _image(made: "Optimal") -> dict[str, Any]:
    return {"neuron": made.neuron, "png": base64.b64encode(made.png()).decode(), **made.about}
