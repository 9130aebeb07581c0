"""Which neurons of a layer pushed an output up or down, on the mean over a group of images."""

from typing import Any

from service.jobs.kinds.work import Work


def run_why(work: Work) -> dict[str, Any]:
    """Parameters: those of `indexer.explain.group.why_group`, ``class`` and ``for`` without an underscore."""
    from indexer.explain.group import why_group  # imports torch

    asked = work.parameters
    with work.network() as network:
        found = why_group(
            work.index, network, asked["layer"],
            class_=asked["class"], answered=asked["answered"], images=asked["images"],
            for_=asked["for"], against=asked["against"], limit=asked["limit"], sample=asked["sample"],
            progress=work.progress, stop=work.stop,
        )  # fmt: skip
    return found.as_dict()
