"""A turn at the network: in this process, or in one of those that are kept for it.

::

    with passes.turn() as network:
        result = network.forward(configuration, data, [layer])

A view does not know which of the two it gets. A WSGI server that was not started by ``python -m service`` has only
`LocalPasses`; there, everything happens in the process that took the request.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

from indexer.explain.asked import Asked, Said
from indexer.images.geometry import Box
from indexer.index.configuration import Configuration
from indexer.query import deadline
from service.http.bounded_queue import Gate
from service.inference.encoding import EncodedText
from service.inference.loader import ForwardResult, Networks, UnitAddress
from service.telemetry import metrics

if TYPE_CHECKING:
    from indexer.defaults import Method


class NetworkTurn(Protocol):
    """The network, for one turn; see `service.inference.loader.Networks`."""

    def forward(
        self, configuration: Configuration, data: bytes, layers: Collection[str] | None = None
    ) -> ForwardResult: ...

    def attribute(
        self, configuration: Configuration, unit: UnitAddress, method: "Method", pixels: np.ndarray, field: Box | None
    ) -> np.ndarray: ...

    def explain(self, configuration: Configuration, asked: Asked, pixels: np.ndarray) -> Said: ...

    def explain_file(self, configuration: Configuration, asked: Asked, data: bytes) -> tuple[int, int, Said]: ...

    def encode_text(self, text: str) -> EncodedText: ...


class Passes(Protocol):
    """Gives turns at the network."""

    def turn(self) -> AbstractContextManager[NetworkTurn]:
        """Wait for a turn and have it.

        Raises
        ------
        Busy
            Too many wait already, or the turn did not come in time.
        """
        ...


class LocalPasses:
    """Turns in this process, as many at a time as the gate lets in."""

    def __init__(self, networks: Networks, gate: Gate) -> None:
        self._networks = networks
        self._gate = gate

    @contextmanager
    def turn(self) -> Iterator[Networks]:
        with ExitStack() as stack:
            stack.enter_context(deadline.paused())
            with metrics.waiting():
                stack.enter_context(self._gate.enter())
            yield self._networks
