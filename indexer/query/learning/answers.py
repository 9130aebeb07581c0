"""What the network answers on indexed images, and how certain it is.

Answers come from the peaks of the output layer, which an index keeps in float32.
"""

from dataclasses import dataclass

import numpy as np

from indexer.errors import InvalidRequest, NotFound
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.learning.outputs import NAME, Outputs, categories_of, output_layer, outputs_of
from indexer.query.records import ImageRecord

LOGITS, PROBABILITIES, LOG_PROBABILITIES = "logits", "probabilities", "log-probabilities"
"""What the values of an output layer are."""

_BLOCK = 1024
_LOOKED_AT = 256
_SUM_TOLERANCE = 1e-3


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
        Its softmax, where the network gives logits; else what the value says.
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
        `LOGITS`, `PROBABILITIES` or `LOG_PROBABILITIES`, told from the values of up to 256 indexed images.
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
    kind : str
        What the values are.
    rows : ndarray (n,) int64
        Rows of the image table.
    code, own : ndarray (n,) int64
        The class of each image, and the output that it stands for.
    answer : ndarray (n,) int64
        The output with the highest value, the first of equals.
    rank : ndarray (n,) int64
        Where ``own`` stands among all outputs, from 1; 1 is a right answer.
    confidence, own_confidence : ndarray (n,) float64
        Probabilities of ``answer`` and of ``own``.
    """

    outputs: Outputs
    kind: str
    rows: np.ndarray
    code: np.ndarray
    own: np.ndarray
    answer: np.ndarray
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
    outputs = outputs_of(index)
    peaks = index.layer(outputs.layer).peaks
    kind = kind_of(peaks)
    output_of_class = outputs.output_of(len(index.classes))
    own = output_of_class[index.images.class_code]
    rows = np.flatnonzero(own >= 0)
    parts = [
        judge(np.asarray(peaks[:, part]), own[part], kind)
        for part in checked([rows[first : first + _BLOCK] for first in range(0, len(rows), _BLOCK)])
    ]
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))
    joined = [np.concatenate(columns) for columns in zip(*(parts or [empty]), strict=True)]
    return Answers(outputs, kind, rows, np.asarray(index.images.class_code[rows]), own[rows], *joined)


def answer_on(index: Index, image: int, limit: int = 5) -> ImageAnswer:
    """What the network answers on an indexed image.

    It needs the output layer, and no class that stands for an output.

    Raises
    ------
    NotFound
        No such image, or the model's output is not indexed.
    InvalidRequest
        ``limit`` is not positive.
    """
    if limit < 1:
        raise InvalidRequest(f"limit must be at least 1, not {limit}")
    record = index.image(image)
    outputs = outputs_or_names(index)
    row = int(np.searchsorted(index.images.id, image))
    values = np.asarray(index.layer(outputs.layer).peaks[:, row])
    whole = answered(index, outputs, values, len(values))
    said = Answered(whole.layer, whole.kind, whole.answers[:limit])
    own = int(outputs.output_of(len(index.classes))[index.images.class_code[row]])
    if own < 0:
        return ImageAnswer(record, said, None, None)
    rank = 1 + next(n for n, answer in enumerate(whole.answers) if answer.output == own)
    return ImageAnswer(record, said, whole.answers[rank - 1], rank)


def answered(index: Index, outputs: Outputs, values: np.ndarray, limit: int) -> Answered:
    """The highest of the output layer's values (C,) on one picture."""
    kind = kind_of(index.layer(outputs.layer).peaks)
    probabilities = probabilities_of(values[:, None], kind)[:, 0]
    ranking = np.argsort(-values, kind="stable")[:limit].tolist()
    answers = [
        Answer(output, outputs.names[output], class_named(index, outputs, output), float(values[output]),
               float(probabilities[output]))
        for output in ranking
    ]  # fmt: skip
    return Answered(outputs.layer, kind, answers)


def outputs_or_names(index: Index) -> Outputs:
    """The outputs, also where no class stands for one.

    Raises
    ------
    NotFound
        The model's output is not indexed.
    """
    try:
        return outputs_of(index)
    except NotFound:
        layer = output_layer(index)
        if layer is None:
            raise
        channels = index.layer(layer).info.channels
        names = categories_of(index, channels) or [str(number) for number in range(channels)]
        return Outputs(layer, NAME, names, np.full(channels, -1))


def class_named(index: Index, outputs: Outputs, output: int) -> str | None:
    """The class that an output stands for."""
    code = int(outputs.code[output])
    return None if code < 0 else index.classes[code]


def kind_of(peaks: np.ndarray) -> str:
    """What the values (C, N) of an output layer are, told from the first images: do they add up to one?

    Values of several labels at once are taken for logits: nothing in them tells one from the other.
    """
    values = np.asarray(peaks[:, :_LOOKED_AT], np.float64)
    if values.shape[1] and (values >= 0).all() and _add_up(values):
        return PROBABILITIES
    if values.shape[1] and (values <= 0).all() and _add_up(np.exp(values)):
        return LOG_PROBABILITIES
    return LOGITS


def probabilities_of(values: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities (C, n) float64 from the values of an output layer; logits by softmax."""
    exact = values.astype(np.float64)
    if kind == PROBABILITIES:
        return exact
    if kind == LOG_PROBABILITIES:
        return np.exp(exact)
    raised: np.ndarray = np.exp(exact - exact.max(axis=0))
    raised /= raised.sum(axis=0)
    return raised


def _add_up(values: np.ndarray) -> bool:
    return bool((np.abs(values.sum(axis=0) - 1) < _SUM_TOLERANCE).all())


def judge(values: np.ndarray, own: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Answer, rank of the right output ``own`` (n,), and the probabilities of both, each (n,), for values (C, n)."""
    image = np.arange(values.shape[1])
    right, answer = values[own, image], values.argmax(axis=0)
    before = (values == right) & (np.arange(len(values))[:, None] < own)
    rank = 1 + (values > right).sum(axis=0) + before.sum(axis=0)
    probabilities = probabilities_of(values, kind)
    return answer, rank, probabilities[answer, image], probabilities[own, image]
