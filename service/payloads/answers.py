"""What the network answers -> JSON of the contract, with links to the images."""

from dataclasses import asdict
from typing import Any

from indexer.query.learning.answering.answers import Answer, Answered, ImageAnswer
from indexer.query.learning.answering.mistakes import Mistake
from indexer.query.learning.answering.scores import ClassScore, Scores
from indexer.query.records import ImageRecord
from service.payloads.links import Links

Json = dict[str, Any]


def on_image(links: Links, result: ImageAnswer) -> Json:
    """The answer on an indexed image."""
    return {
        **_of(result.image),
        **said(links, result.said),
        "own": None if result.own is None else _answer(links, result.said.layer, result.own),
        "rank": result.rank,
        "links": _image_links(links, result.image),
    }


def said(links: Links, result: Answered) -> Json:
    """The highest outputs on some picture."""
    answers = [_answer(links, result.layer, answer) for answer in result.answers]
    return {"layer": result.layer, "kind": result.kind, "answers": answers}


def mistake(links: Links, record: Mistake) -> Json:
    """An image whose answer is not its class."""
    return {
        **_of(record.image),
        "answered": record.answered,
        "answered_class": record.answered_class,
        "confidence": record.confidence,
        "own_confidence": record.own_confidence,
        "rank": record.rank,
        "links": {**_image_links(links, record.image), "answer": links.answer(record.image)},
    }


def scores(links: Links, result: Scores) -> Json:
    """How good the answers are."""
    outputs = result.judged.answers.outputs
    return {
        "layer": outputs.layer,
        "matched": outputs.matched,
        "kind": result.judged.kind,
        "images": result.images,
        "accuracy": result.accuracy,
        "top5": result.top5,
        "calibration_error": result.calibration_error,
        "bins": [asdict(row) for row in result.bins],
        "classes": [_class_score(links, score) for score in result.classes],
        "links": {"mistakes": links.mistakes()},
    }


def _class_score(links: Links, score: ClassScore) -> Json:
    figures = asdict(score)
    name = figures.pop("class_")
    return {"class": name, **figures, "links": {"class": links.class_(name), "mistakes": links.mistakes(name)}}


def _answer(links: Links, layer: str, answer: Answer) -> Json:
    figures = asdict(answer)
    return {"class": figures.pop("class_"), **figures, "links": {"neuron": links.neuron(layer, answer.output)}}


def _of(image: ImageRecord) -> Json:
    return {"image": image.id, "path": image.path, "class": image.class_}


def _image_links(links: Links, image: ImageRecord) -> Json:
    return {"image": links.image(image), "file": links.file(image), "picture": links.picture(image)}
