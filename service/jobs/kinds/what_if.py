"""What the network would answer if some neurons were changed."""

from typing import Any

from service.jobs.kinds.work import Work


def run_what_if(work: Work) -> dict[str, Any]:
    """Parameters: ``layer``, ``edits``, ``class``, ``exact``; see `indexer.explain.what_if.what_if`."""
    from indexer.explain.edits import Edit
    from indexer.explain.what_if import what_if  # imports torch

    asked = work.parameters
    edits = [Edit(**edit) for edit in asked["edits"]]
    with work.network() as network:
        found = what_if(
            work.index, network, asked["layer"], edits,
            class_=asked["class"], exact=asked["exact"], progress=work.progress, stop=work.stop,
        )  # fmt: skip
    return found.as_dict()
