"""Images whose answer is not their class."""

from dataclasses import dataclass

import numpy as np

from indexer.defaults import MISTAKE_SORTS as SORTS
from indexer.errors import InvalidRequest, NotFound
from indexer.query.index import Index
from indexer.query.learning.answering.answers import Judged, class_named, judged_answers
from indexer.query.learning.answering.outputs import Outputs, outputs_named
from indexer.query.paging import page_of
from indexer.query.records import ImageRecord, Page


@dataclass(frozen=True)
class Mistake:
    """An image, what it was answered as, and where the right answer stands.

    Attributes
    ----------
    answered : str
        The name of the output with the highest value.
    answered_class : str or None
        The class that this output stands for.
    confidence, own_confidence : float
        Probabilities of the answer and of the right answer.
    rank : int
        Where the right answer stands among all outputs, from 1; of a mistake it is 2 or more.
    """

    image: ImageRecord
    answered: str
    answered_class: str | None
    confidence: float
    own_confidence: float
    rank: int


def mistakes(
    index: Index,
    *,
    class_: str | None = None,
    answered: str | None = None,
    sort: str = "confidence",
    limit: int = 20,
    offset: int = 0,
) -> Page[Mistake]:
    """Images whose answer is not their class; images whose class stands for no output are left out.

    Parameters
    ----------
    class_ : str, optional
        Only images of this class.
    answered : str, optional
        Only images answered so: the name or the class of an output.
    sort : str
        "confidence": the most certain answers first; "rank": the lowest right answers first; "image": by id. Equals
        are in order of ids.

    Raises
    ------
    NotFound
        The model's output is not indexed, no class stands for an output, or no such class or output.
    InvalidRequest
    """
    if sort not in SORTS:
        raise InvalidRequest(f"sort must be one of {', '.join(SORTS)}, not {sort!r}")
    judged = judged_answers(index)
    answers, wanted = judged.answers, judged.rank > 1
    if class_ is not None:
        wanted &= answers.code == index.images.code_of(class_)
    if answered is not None:
        wanted &= answers.answer == _output_named(index, answers.outputs, answered)
    numbers = np.flatnonzero(wanted)
    if sort != "image":
        keys = judged.confidence if sort == "confidence" else judged.rank
        numbers = numbers[np.argsort(-keys[numbers], kind="stable")]
    shown = page_of(numbers, limit, offset)
    return Page([_mistake(index, judged, number) for number in shown.tolist()], len(numbers), limit, offset)


def _mistake(index: Index, judged: Judged, number: int) -> Mistake:
    answers = judged.answers
    output = int(answers.answer[number])
    return Mistake(
        index.image(int(index.images.id[answers.rows[number]])),
        answers.outputs.names[output],
        class_named(index, answers.outputs, output),
        float(judged.confidence[number]),
        float(judged.own_confidence[number]),
        int(judged.rank[number]),
    )


def _output_named(index: Index, outputs: Outputs, name: str) -> int:
    """The output of a name: that of a class first, then that of a category, which must be the only one."""
    named = outputs_named(index, outputs, name)
    if len(named) > 1:
        raise InvalidRequest(f"answered={name!r} names {len(named)} outputs of {outputs.layer}; name a class")
    if not named:
        raise NotFound(f"{name[:100]!r} is neither a class that stands for an output of {outputs.layer}, nor its name")
    return named[0]
