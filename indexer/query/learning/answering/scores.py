"""How good the network's answers are: for each class, and whether its certainty can be trusted."""

from dataclasses import dataclass

import numpy as np

from indexer.query.index import Index
from indexer.query.learning.answering.answers import Judged, judged_answers

BINS = 15
TOP = 5


@dataclass(frozen=True)
class ClassScore:
    """How a class is answered, among the images whose class stands for an output.

    Attributes
    ----------
    images : int
        Images of the class.
    answered : int
        Images that are answered with it, of whatever class.
    recall : float or None
        Share of the class's images that are answered with it; None for a class without images.
    precision : float or None
        Share of the images answered with it that are of it; None if none is.
    top5 : float or None
        Share of the class's images on which it is among the five highest outputs.
    """

    class_: str
    images: int
    answered: int
    recall: float | None
    precision: float | None
    top5: float | None


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence is above ``low`` and at most ``high``; means are None where there are none."""

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Scores:
    """The scores of an index.

    Attributes
    ----------
    images : int
        Images whose class stands for an output.
    accuracy, top5 : float
        Share of them answered with their class, and with their class among the five highest outputs.
    calibration_error : float
        The expected calibration error: the mean of ``|accuracy - confidence|`` over `BINS` bins of equal width,
        weighted by their images (Guo et al. 2017, "On calibration of modern neural networks").
    bins : list of Bin
        The reliability diagram.
    classes : list of ClassScore
        Those that stand for an output, by name.
    """

    judged: Judged
    images: int
    accuracy: float
    top5: float
    calibration_error: float
    bins: list[Bin]
    classes: list[ClassScore]


def scores(index: Index) -> Scores:
    """Accuracy, recall, precision and calibration of the network's answers.

    Raises
    ------
    NotFound
        The model's output is not indexed, or no image's class stands for an output.
    """
    judged = judged_answers(index)
    right = judged.rank == 1
    bins = reliability(judged.confidence, right)
    off = [
        row.images * abs(row.accuracy - row.confidence)
        for row in bins
        if row.accuracy is not None and row.confidence is not None
    ]
    return Scores(
        judged,
        len(right),
        float(right.mean()),
        float((judged.rank <= TOP).mean()),
        float(sum(off) / len(right)),
        bins,
        _of_classes(index, judged),
    )


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Confidence (n,) and correctness (n,) in `BINS` bins of equal width."""
    number = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(number, minlength=BINS)
    certain = np.bincount(number, confidence, BINS)
    good = np.bincount(number, right, BINS)
    return [
        Bin(
            k / BINS, (k + 1) / BINS, int(count),
            float(certain[k] / count) if count else None, float(good[k] / count) if count else None,
        )
        for k, count in enumerate(counts.tolist())
    ]  # fmt: skip


def _of_classes(index: Index, judged: Judged) -> list[ClassScore]:
    output_of = judged.answers.outputs.output_of(len(index.classes)).tolist()
    return [
        _of_class(name, judged, output) for name, output in zip(index.classes, output_of, strict=False) if output >= 0
    ]


def _of_class(name: str, judged: Judged, output: int) -> ClassScore:
    answers = judged.answers
    own, said = answers.own == output, answers.answer == output
    return ClassScore(
        name,
        int(own.sum()),
        int(said.sum()),
        _share(own & said, own),
        _share(own & said, said),
        _share(own & (judged.rank <= TOP), own),
    )


def _share(part: np.ndarray, of: np.ndarray) -> float | None:
    return float(part.sum() / of.sum()) if of.any() else None
