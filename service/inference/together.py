"""Uploads that wait at the same time share a pass of the network, where that changes no number.

Kernels for several images may add in another order than those for one, and then the last bits differ. Which of them do
depends on the shapes of a network's tensors, the processor and the library. So it is tried: the first time that so many
uploads want the same layers, they pass alone and together, and both are compared bit for bit. Answered is what they get
alone; uploads share passes from the next time on, or never do.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final

from indexer.errors import ImageRejected, UnitscopeError
from indexer.index.configuration import Configuration
from service.inference.ipc import REPORTED, Answering, as_answer, begin, configuration_of, go_on, reply
from service.inference.loader import ForwardResult, Networks, Upload
from service.inference.messages import Message, receive, send

log = logging.getLogger(__name__)

_KEPT: Final = 256


class Together:
    """Passes of several uploads.

    Parameters
    ----------
    networks : Networks
    most : int
        Uploads that may share a pass.
    """

    def __init__(self, networks: Networks, most: int) -> None:
        self.networks = networks
        self.most = most
        self._equal: OrderedDict[tuple[str, tuple[str, ...] | None, int], bool] = OrderedDict()

    def forward(
        self, configuration: Configuration, files: Sequence[bytes], layers: Collection[str] | None, beat: Answering
    ) -> list[ForwardResult | UnitscopeError]:
        """What `Networks.forward` gives for each file, or the error that it raises; ``beat`` is entered for each pass.

        One file that fails leaves the others as they are.
        """
        found = [_tried(partial(self.networks.read, configuration, file)) for file in files]
        uploads = [upload for upload in found if isinstance(upload, Upload)]
        seen = iter(self._see(configuration, uploads, layers, beat))
        return [next(seen) if isinstance(upload, Upload) else upload for upload in found]

    def _see(
        self, configuration: Configuration, uploads: list[Upload], layers: Collection[str] | None, beat: Answering
    ) -> list[ForwardResult | UnitscopeError]:
        key = configuration.digest, None if layers is None else tuple(layers), len(uploads)
        if len(uploads) > 1 and self._equal.get(key):
            together = self._pass(configuration, uploads, layers, beat)
            if together is not None:
                return list(together)
        alone: list[ForwardResult | UnitscopeError] = []
        for upload in uploads:
            with beat("see"):
                alone += [_tried(partial(self._alone, configuration, upload, layers))]
        results = [result for result in alone if isinstance(result, ForwardResult)]
        if len(uploads) > 1 and key not in self._equal and len(results) == len(uploads):
            self._keep(key, results, self._pass(configuration, uploads, layers, beat))
        return alone

    def _alone(self, configuration: Configuration, upload: Upload, layers: Collection[str] | None) -> ForwardResult:
        (result,) = self.networks.see(configuration, [upload], layers)
        return result

    def _pass(
        self, configuration: Configuration, uploads: list[Upload], layers: Collection[str] | None, beat: Answering
    ) -> list[ForwardResult] | None:
        """One pass of all; None where it fails, as it may because of one of them."""
        with beat("see"):
            try:
                return self.networks.see(configuration, uploads, layers)
            except ImageRejected:
                return None

    def _keep(
        self, key: tuple[str, tuple[str, ...] | None, int], alone: list[ForwardResult],
        together: list[ForwardResult] | None,
    ) -> None:  # fmt: skip
        different = "all" if together is None else _first_difference(alone, together)
        self._equal[key] = different is None
        if len(self._equal) > _KEPT:
            self._equal.popitem(last=False)
        log.info(
            "%d uploads at once %s",
            key[2], "share passes" if different is None else f"pass one by one: layer {different} would differ",
        )  # fmt: skip


def _first_difference(alone: list[ForwardResult], together: list[ForwardResult]) -> str | None:
    """The first layer whose numbers are not the same, bit for bit."""
    for one, of_all in zip(alone, together, strict=True):
        for layer, maps in one.maps.items():
            if maps.tobytes() != of_all.maps[layer].tobytes():
                return layer
    return None


def _tried(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except REPORTED as error:
        return error


def serve_together(
    together: Together, first: Connection, more: Callable[[], Connection | None], answering: Answering
) -> None:
    """Serve a turn, and those that wait when its question is there, until their workers end them.

    Parameters
    ----------
    more : callable
        Gives a turn that waits; None where none does.
    answering : callable (str) -> context manager
        Entered for each pass and each other answer, with the name of the question.
    """
    with ExitStack() as stack:
        asked: list[tuple[Connection, Message]] = []
        connection: Connection | None = first
        while connection is not None:
            stack.enter_context(connection)
            with _gone():
                begin(connection)
                asked.append((connection, receive(connection)))
            # Only now: meanwhile a process that has nothing to do may have taken those that wait.
            connection = more() if len(asked) < together.most else None
        while asked:
            group = [one for one in asked if _pass_of(one[1]) == _pass_of(asked[0][1])]
            if _pass_of(asked[0][1]) is None:
                group = asked[:1]
            asked = [one for one in asked if one not in group]
            _answer(together, group, answering)


def _pass_of(question: Message) -> tuple[str, ...] | None:
    """Equal for uploads that may share a pass; None for any other question."""
    head = question[0]
    if head["question"] != "see":
        return None
    return head["configuration"], *(["every layer"] if head["layers"] is None else ["", *head["layers"]])


def _answer(together: Together, group: list[tuple[Connection, Message]], answering: Answering) -> None:
    if len(group) == 1:
        ((connection, question),) = group
        with _gone():
            reply(together.networks, connection, question, answering)
    else:
        head = group[0][1][0]
        files = [block for _, (_, (block,)) in group]
        found = together.forward(configuration_of(head["configuration"]), files, head["layers"], answering)
        for (connection, _), result in zip(group, found, strict=True):
            with _gone():
                send(connection, *as_answer(result))
    for connection, _ in group:
        with _gone():
            go_on(together.networks, connection, answering)


@contextmanager
def _gone() -> Iterator[None]:
    """Within it, the end of a worker ends its own turn alone."""
    try:
        yield
    except (EOFError, OSError):
        log.info("a worker was gone before its answer was there")
