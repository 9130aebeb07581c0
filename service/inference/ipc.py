"""The network in a process of its own: a worker asks (`RemotePasses`), the process answers
(`service.inference.together.serve_together`).

The processes that run the network accept connections from one socket. A connection is one turn; those that nobody has
accepted yet are the queue. The kernel keeps it: it is bounded and first come, first served across all workers, and
neither a worker nor a network that dies takes it along.

The first message that a worker gets says that its turn has begun. Then each question gets an answer or an error.
"""

import json
import logging
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import UnidentifiedImageError

from indexer.derive.carried.patch_vectors import EncoderName
from indexer.errors import ImageRejected, InvalidRequest, ModelUnavailable, NotInstalled, UnitscopeError
from indexer.explain.asked import Asked, Said
from indexer.images.geometry import Box
from indexer.index.configuration import Configuration
from indexer.query import deadline
from service.errors import NetworkLost
from service.http.bounded_queue import Gate
from service.inference.encoding import EncodedText
from service.inference.loader import ForwardResult, Networks, UnitAddress
from service.inference.messages import Message, as_block, receive, send
from service.telemetry import metrics

if TYPE_CHECKING:
    from indexer.defaults import Method

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 5
_ENCODE: Final = "encode-text"
"""The one question that is about no index."""
_PATIENCE: Final = 10.0
"""Seconds that a network which is being replaced may take longer than its limit before its worker gives up."""
_ERRORS: Final[dict[str, type[UnitscopeError]]] = {
    error.__name__: error for error in (ImageRejected, InvalidRequest, ModelUnavailable, NotInstalled)
}
REPORTED: Final = tuple(_ERRORS.values())
"""What a network's process tells the worker that asked; anything else is a fault of the program."""
Answer = tuple[dict[str, Any], list[memoryview]]
Answering = Callable[[str], AbstractContextManager[None]]


class RemotePasses:
    """Turns at networks in other processes.

    Parameters
    ----------
    address : str
        The path of the socket that they accept turns from.
    gate : Gate
        How many turns this process asks for at a time.
    wait : float
        Seconds to wait for a turn.
    limit : float
        Seconds that one question may take.
    """

    def __init__(self, address: str, gate: Gate, wait: float, limit: float) -> None:
        self._address = address
        self._gate = gate
        self._wait = wait
        self._limit = limit

    @contextmanager
    def turn(self) -> Iterator["RemoteNetwork"]:
        with deadline.paused(), self._gate.count_in(), self._connect() as connection:
            with metrics.waiting():
                begun = connection.poll(self._wait)
            if not begun:
                raise self._gate.late()
            network = RemoteNetwork(connection, self._limit + _PATIENCE)
            network.begin()
            yield network

    def _connect(self) -> Connection:
        with socket.socket(socket.AF_UNIX) as asking, _lost():
            asking.setblocking(False)  # so that a full queue is noticed at once
            try:
                asking.connect(self._address)
            except BlockingIOError:
                raise self._gate.full() from None
            asking.setblocking(True)
            return Connection(asking.detach())


class RemoteNetwork:
    """A turn that has begun."""

    def __init__(self, connection: Connection, patience: float) -> None:
        self._connection = connection
        self._patience = patience

    def begin(self) -> None:
        with _lost():
            receive(self._connection)

    def forward(
        self, configuration: Configuration, data: bytes, layers: Collection[str] | None = None
    ) -> ForwardResult:
        wanted = None if layers is None else list(layers)
        question = {"question": "see", "configuration": configuration.text, "layers": wanted}
        head, blocks = self._ask(question, data)
        shapes = head["maps"].items()
        maps = {layer: _array(block, shape) for (layer, shape), block in zip(shapes, blocks, strict=True)}
        return ForwardResult(head["width"], head["height"], maps)

    def attribute(
        self, configuration: Configuration, unit: UnitAddress, method: "Method", pixels: np.ndarray, field: Box | None
    ) -> np.ndarray:
        question = {
            "question": "attribute",
            "configuration": configuration.text,
            "unit": vars(unit),
            "method": method,
            "field": field and field.as_dict(),
            "shape": pixels.shape,
        }
        head, (block,) = self._ask(question, as_block(pixels))
        return _array(block, head["shape"])

    def explain(self, configuration: Configuration, asked: Asked, pixels: np.ndarray) -> Said:
        question = {
            "question": "explain",
            "configuration": configuration.text,
            "asked": asked.as_dict(),
            "shape": pixels.shape,
        }
        head, _ = self._ask(question, as_block(pixels))
        return Said.from_dict(head["said"])

    def explain_file(self, configuration: Configuration, asked: Asked, data: bytes) -> tuple[int, int, Said]:
        question = {"question": "explain-file", "configuration": configuration.text, "asked": asked.as_dict()}
        head, _ = self._ask(question, data)
        return head["width"], head["height"], Said.from_dict(head["said"])

    def encode_text(self, text: str) -> EncodedText:
        head, (block,) = self._ask({"question": _ENCODE, "text": text}, b"")
        return EncodedText(EncoderName(**head["by"]), np.frombuffer(block, np.float32))

    def _ask(self, question: dict[str, Any], block: bytes | memoryview) -> Message:
        with _lost():
            send(self._connection, question, [block])
            if not self._connection.poll(self._patience):
                raise EOFError
            head, blocks = receive(self._connection)
        if "error" in head:
            raise _error(**head)
        return head, blocks


def begin(connection: Connection) -> None:
    """Tell a worker that its turn has begun."""
    send(connection, {})


def go_on(networks: Networks, connection: Connection, answering: Answering) -> None:
    """Answer the further questions of a turn until the worker ends it.

    Raises
    ------
    OSError
        The worker is gone.
    """
    while True:
        try:
            question = receive(connection)
        except EOFError:
            return
        reply(networks, connection, question, answering)


def reply(networks: Networks, connection: Connection, question: Message, answering: Answering) -> None:
    """Answer one question of a turn; ``answering`` is entered for it with its name.

    Raises
    ------
    OSError
        The worker is gone.
    """
    head, (block,) = question
    with answering(head["question"]):
        answer, blocks = _answer_of(networks, head, block)
    send(connection, answer, blocks)


def _answer_of(networks: Networks, question: dict[str, Any], block: bytes) -> Answer:
    """The answer to one question, or its error."""
    try:
        if question["question"] == _ENCODE:
            return _encode_text(networks, question["text"])
        configuration = configuration_of(question["configuration"])
        return _ANSWERS[question["question"]](networks, configuration, question, block)
    except REPORTED as error:
        return as_answer(error)


def as_answer(found: ForwardResult | UnitscopeError) -> Answer:
    """What a network makes of a picture, or one of the errors that are `REPORTED`, as a message."""
    if isinstance(found, UnitscopeError):
        unidentified = isinstance(found.__cause__, UnidentifiedImageError)
        name = next(name for name, known in _ERRORS.items() if isinstance(found, known))
        return {"error": name, "detail": str(found), "unidentified": unidentified}, []
    shapes = {layer: maps.shape for layer, maps in found.maps.items()}
    blocks = [as_block(maps) for maps in found.maps.values()]
    return {"width": found.width, "height": found.height, "maps": shapes}, blocks


@lru_cache(maxsize=16)
def configuration_of(text: str) -> Configuration:
    """The configuration that a question has as text."""
    return Configuration.from_json(json.loads(text))


def _forward(networks: Networks, configuration: Configuration, question: dict[str, Any], block: bytes) -> Answer:
    return as_answer(networks.forward(configuration, block, question["layers"]))


def _attribute(networks: Networks, configuration: Configuration, question: dict[str, Any], block: bytes) -> Answer:
    pixels = np.frombuffer(block, np.uint8).reshape(question["shape"])
    field = question["field"] and Box(**question["field"])
    values = networks.attribute(configuration, UnitAddress(**question["unit"]), question["method"], pixels, field)
    return {"shape": values.shape}, [as_block(values)]


def _explain(networks: Networks, configuration: Configuration, question: dict[str, Any], block: bytes) -> Answer:
    pixels = np.frombuffer(block, np.uint8).reshape(question["shape"])
    return {"said": networks.explain(configuration, Asked(**question["asked"]), pixels).as_dict()}, []


def _explain_file(networks: Networks, configuration: Configuration, question: dict[str, Any], block: bytes) -> Answer:
    width, height, said = networks.explain_file(configuration, Asked(**question["asked"]), block)
    return {"width": width, "height": height, "said": said.as_dict()}, []


def _encode_text(networks: Networks, text: str) -> Answer:
    encoded = networks.encode_text(text)
    return {"by": vars(encoded.by)}, [as_block(encoded.vector.astype(np.float32))]


_ANSWERS: Final = {
    "see": _forward, "attribute": _attribute, "explain": _explain, "explain-file": _explain_file
}  # fmt: skip


def _array(block: bytes, shape: list[int]) -> np.ndarray:
    return np.frombuffer(block, np.float32).reshape(shape)


def _error(error: str, detail: str, unidentified: bool) -> UnitscopeError:
    made = _ERRORS[error](detail)
    made.__cause__ = UnidentifiedImageError() if unidentified else None
    return made


@contextmanager
def _lost() -> Iterator[None]:
    """Within it, the end of the network's process becomes a `NetworkLost`."""
    try:
        yield
    except (EOFError, OSError) as error:
        metrics.REFUSED.labels("lost").inc()
        log.warning("the process of the network is gone (%s)", type(error).__name__)
        raise NetworkLost(
            "the process that runs the network has ended and is being replaced; try again later",
            retry_after=RETRY_SECONDS,
        ) from error
