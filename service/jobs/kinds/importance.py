"""What silencing each neuron of a layer alone does to the network's accuracy."""

from typing import Any

from service.jobs.kinds.work import Work


def run_importance(work: Work) -> dict[str, Any]:
    """Parameters: ``layer``, ``images``, ``neurons``; see `indexer.explain.importance.importance`."""
    from indexer.explain.importance import importance  # imports torch

    asked = work.parameters
    with work.network() as network:
        found = importance(
            work.index, network, asked["layer"],
            images=asked["images"], neurons=asked["neurons"], progress=work.progress, stop=work.stop,
        )  # fmt: skip
    return found.as_dict()
