"""What a view is given, and what it answers with: see `service.handlers` for what comes before and after it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from flask import Request

from indexer.query import deadline
from indexer.query.index import Index
from indexer.query.learning.answering.outputs import NeuronNames
from service.access.policy import Admission
from service.explorer import Explorer
from service.http.bounded_queue import Gate
from service.http.contract import Contract
from service.http.etags import Tags
from service.http.flights import Flights
from service.http.response_cache import Answers, Finished
from service.indexes.catalog import Catalog
from service.indexes.generations import OpenGeneration
from service.inference.turns import Passes
from service.jobs.queue import Jobs
from service.notes.store import Notes
from service.payloads.links import Links
from service.payloads.versions import Versions
from service.settings import Settings

Json = dict[str, Any]
Counted = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Services:
    """The objects that all requests of one application share."""

    settings: Settings
    contract: Contract
    catalog: Catalog
    jobs: Jobs
    notes: Notes
    answers: Answers
    tags: Tags
    explorer: Explorer
    reference: Callable[[], str]
    upload_gate: Gate
    drawing_gate: Gate
    passes: Passes
    admission: Admission
    drawings: Flights["Drawn"]
    bodies: Flights[Finished]

    def time(self) -> AbstractContextManager[None]:
        """The time that one question has."""
        return deadline.within(self.settings.question_seconds)


@dataclass(frozen=True)
class Question:
    """All that a view needs: one open generation of an index, and the URLs and picture versions of what is in it."""

    name: str
    index: Index
    versions: Versions
    links: Links
    services: Services
    request: Request

    @property
    def names(self) -> NeuronNames:
        """What neurons are called."""
        return NeuronNames(self.index)


@dataclass(frozen=True)
class Picture:
    """A picture that has not been drawn yet.

    Attributes
    ----------
    version : str
        Changes with everything that decides how it looks; links carry it.
    key : tuple
        Its subject and options; with the version it decides every byte.
    draw : callable () -> Drawn
    counted : callable () -> context manager
        Counts whoever draws it, and whoever waits while another draws it; raises `Busy` where these are too many.
        Without it, all threads could wait for one slow picture.
    """

    version: str
    key: tuple[Any, ...]
    draw: Callable[[], "Drawn"]
    counted: "Counted" = nullcontext


@dataclass(frozen=True)
class Drawn:
    """A picture file, its media type, and how many originals a placeholder stands for in it."""

    data: bytes
    media_type: str
    missing: int = 0


@dataclass(frozen=True)
class Document:
    """An answer that is not JSON: a text, its media type, and the text of the style element that it has, if any."""

    text: str
    media_type: str
    style: str | None = None


@dataclass(frozen=True)
class Binary:
    """An answer in bytes, and its media type."""

    data: bytes
    media_type: str


def question_of(request: Request, name: str, held: OpenGeneration, services: Services) -> Question:
    """All that a view needs of an open generation."""
    versions = Versions(held.index, held.network, held.state)
    return Question(name, held.index, versions, Links(request.script_root, name, versions), services, request)
