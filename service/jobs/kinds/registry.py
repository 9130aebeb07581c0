"""The kinds of jobs.

A kind is a function from its `Work` to a result of JSON. To add one: write the function in a file of this folder, and
put it into `KINDS`; a view then checks a request and hands it to `service.jobs.queue.Jobs.submit`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from service.jobs.kinds.art import run_art, run_upload_art
from service.jobs.kinds.dream import run_dream, run_upload_dream
from service.jobs.kinds.fool import run_fool, run_upload_fool
from service.jobs.kinds.importance import run_importance
from service.jobs.kinds.make import run_make
from service.jobs.kinds.upload_why import run_upload_why
from service.jobs.kinds.what_if import run_what_if
from service.jobs.kinds.why import run_why
from service.jobs.kinds.work import Work


@dataclass(frozen=True)
class Kind:
    """A kind of jobs.

    Attributes
    ----------
    version : int
        Counts up when the same question gets another result: older ones are then not found any more.
    run : callable (Work) -> dict
    """

    version: int
    run: Callable[[Work], dict[str, Any]]


KINDS: Final[dict[str, Kind]] = {
    "what-if": Kind(1, run_what_if),
    "importance": Kind(1, run_importance),
    "why": Kind(1, run_why),
    "upload-why": Kind(1, run_upload_why),
    "make": Kind(2, run_make),
    "fool": Kind(1, run_fool),
    "upload-fool": Kind(1, run_upload_fool),
    "dream": Kind(1, run_dream),
    "upload-dream": Kind(1, run_upload_dream),
    "art": Kind(1, run_art),
    "upload-art": Kind(1, run_upload_art),
}
