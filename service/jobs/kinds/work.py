"""What a job has to work with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexer.query.index import Index

if TYPE_CHECKING:
    from indexer.network.forward import Network


@dataclass(frozen=True)
class Work:
    """What a job has to work with.

    Attributes
    ----------
    index : Index
        The generation that was asked; it stays open.
    network : callable () -> context manager of Network
        Loads the index's network when it is entered.
    parameters : dict
        Of the request.
    progress : callable (done, total)
        To be called often: it raises `indexer.errors.Stopped` when the job is to end.
    stop : callable () -> bool
        Whether the job is to end.
    upload : callable () -> bytes
        The image that was sent with the request.
    max_pixels : int
        The most pixels that it may have.
    """

    index: Index
    network: Callable[[], AbstractContextManager["Network"]]
    parameters: dict[str, Any]
    progress: Callable[[int, int], None]
    stop: Callable[[], bool]
    upload: Callable[[], bytes]
    max_pixels: int
