"""What the network answers on indexed images, and how certain it is.

Answers come from the peaks of the output layer, which an index keeps in float32.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.learning.answering.output_kind import kind_of, probabilities_of
from indexer.query.learning.answering.outputs import Outputs, named_outputs, outputs_of, own_outputs
from indexer.query.paging import check_limit
from indexer.query.records import ImageRecord

ANSWERS = 5
"""How many of the highest outputs are given unless told otherwise."""

_BLOCK = 1024


@dataclass(frozen=True)
class Answer:
    """One output on one image.

    Attributes
    ----------
    output : int
        Its number.
    name : str
        Its category, or what else it is called.
    class_ : str or None
        The class that it stands for.
    value : float
        As the network gave it.
    probability : float
        Its softmax, where the network gives logits, or its sigmoid, where several labels may be there at once; else
        what the value says.
    """

    output: int
    name: str
    class_: str | None
    value: float
    probability: float


@dataclass(frozen=True)
class Answered:
    """What the network answers on some picture.

    Attributes
    ----------
    layer : str
        The output layer.
    kind : str
        What the values are; see `indexer.query.learning.answering.output_kind`.
    answers : list of Answer
        The highest first, the first of equals first.
    """

    layer: str
    kind: str
    answers: list[Answer]


@dataclass(frozen=True)
class ImageAnswer:
    """What the network answers on an indexed image.

    Attributes
    ----------
    said : Answered
    own : Answer or None
        The output that the image's class stands for; None if it stands for none.
    rank : int or None
        Where ``own`` stands among all outputs, from 1.
    """

    image: ImageRecord
    said: Answered
    own: Answer | None
    rank: int | None


@dataclass(frozen=True)
class Answers:
    """The network's answers on all images whose class stands for an output.

    Attributes
    ----------
    outputs : Outputs
    rows : ndarray (n,) int32
        Rows of the image table.
    code, own : ndarray (n,) int32
        The class of each image, and the output that it stands for.
    answer : ndarray (n,) int32
        The output with the highest value, the first of equals.
    """

    outputs: Outputs
    rows: np.ndarray
    code: np.ndarray
    own: np.ndarray
    answer: np.ndarray


@dataclass(frozen=True)
class Judged:
    """Answers with their certainty, and where the right ones stand.

    Attributes
    ----------
    kind : str
        What the values are.
    rank : ndarray (n,) int32
        Where ``own`` stands among all outputs, from 1; 1 is a right answer.
    confidence, own_confidence : ndarray (n,) float64
        Probabilities of ``answer`` and of ``own``.
    """

    answers: Answers
    kind: str
    rank: np.ndarray
    confidence: np.ndarray
    own_confidence: np.ndarray


def answers_of(index: Index) -> Answers:
    """The answers on every image that has a right one.

    Raises
    ------
    NotFound
        There is no output layer, or no class stands for an output.
    """
    return judged_answers(index).answers


def highest_outputs(index: Index, layer: str, rows: np.ndarray) -> np.ndarray:
    """The highest output (n,) int64 of an output layer on some images, the first of equals."""
    return np.concatenate(
        [np.empty(0, np.int64), *(values.argmax(axis=0) for _, values in _blocks(index, layer, rows))]
    )


def judged_answers(index: Index) -> Judged:
    """`answers_of` with certainty and ranks. They are worked out once, and kept in 36 bytes an image.

    Raises
    ------
    NotFound
        As `answers_of`.
    """
    return index.once(judged_answers, lambda: _judged(index))


def _judged(index: Index) -> Judged:
    outputs = outputs_of(index)
    own = own_outputs(index, outputs)
    rows = np.flatnonzero(own >= 0)
    kind = kind_of(index, outputs.layer)
    parts = [judge(values, own[rows[part]], kind) for part, values in _blocks(index, outputs.layer, rows)]
    empty = judge(np.empty((len(outputs.code), 0), np.float32), np.empty(0, np.int64), kind)
    answer, rank, *certainty = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    code = np.asarray(index.images.class_code[rows])
    answers = Answers(outputs, *(column.astype(np.int32) for column in (rows, code, own[rows], answer)))
    return Judged(answers, kind, rank.astype(np.int32), *certainty)


def _blocks(index: Index, layer: str, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """An output layer's values (C, n) on some images, a block at a time."""
    peaks = index.layer(layer).peaks_by_image
    for first in checked(range(0, len(rows), _BLOCK)):
        part = slice(first, first + _BLOCK)
        yield part, np.asarray(peaks[rows[part]]).T


def answer_on(index: Index, image: int, limit: int = ANSWERS) -> ImageAnswer:
    """What the network answers on an indexed image, whether a class stands for an output or not.

    Raises
    ------
    NotFound
        No such image, or the model's output is not indexed.
    InvalidRequest
        ``limit`` is not positive.
    """
    check_limit(limit)
    record, row = index.image(image), index.images.find_id(image)
    outputs = named_outputs(index)
    values = np.asarray(index.layer(outputs.layer).peaks[:, row])
    ranking = answered(index, outputs, values, len(values))
    said = replace(ranking, answers=ranking.answers[:limit])
    own = int(own_outputs(index, outputs)[row])
    if own < 0:
        return ImageAnswer(record, said, None, None)
    rank = 1 + next(n for n, answer in enumerate(ranking.answers) if answer.output == own)
    return ImageAnswer(record, said, ranking.answers[rank - 1], rank)


def answered(index: Index, outputs: Outputs, values: np.ndarray, limit: int) -> Answered:
    """The highest of the output layer's values (C,) on one picture."""
    kind = kind_of(index, outputs.layer)
    probabilities = probabilities_of(values[:, None], kind)[:, 0]
    ranking = np.argsort(-values, kind="stable")[:limit].tolist()
    answers = [
        Answer(output, outputs.names[output], class_named(index, outputs, output), float(values[output]),
               float(probabilities[output]))
        for output in ranking
    ]  # fmt: skip
    return Answered(outputs.layer, kind, answers)


def class_named(index: Index, outputs: Outputs, output: int) -> str | None:
    """The class that an output stands for."""
    code = int(outputs.code[output])
    return None if code < 0 else index.classes[code]


def judge(values: np.ndarray, own: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Answer, rank of the right output ``own`` (n,), and the probabilities of both, each (n,), for values (C, n)."""
    image = np.arange(values.shape[1])
    right, answer = values[own, image], values.argmax(axis=0)
    before = (values == right) & (np.arange(len(values))[:, None] < own)
    rank = 1 + (values > right).sum(axis=0) + before.sum(axis=0)
    probabilities = probabilities_of(values, kind)
    return answer, rank, probabilities[answer, image], probabilities[own, image]
