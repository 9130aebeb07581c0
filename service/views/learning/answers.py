"""What the network answers on indexed images, and where that is wrong."""

from typing import Any

from indexer.query.learning.answering.answers import answer_on
from indexer.query.learning.answering.mistakes import mistakes
from indexer.query.learning.answering.scores import scores
from service.http.paging import listing
from service.payloads import answers
from service.questions import Json, Question


def get_answer(question: Question, image: int, limit: int) -> Json:
    return answers.on_image(question.links, answer_on(question.index, image, limit))


def list_mistakes(question: Question, **options: Any) -> Json:
    page = mistakes(question.index, **options)
    return listing(page, lambda mistake: answers.mistake(question.links, mistake))


def get_scores(question: Question) -> Json:
    return answers.scores(question.links, scores(question.index))
