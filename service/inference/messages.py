"""Messages between the processes of the service: a JSON object and blocks of bytes; nothing in them is executed."""

import json
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

BLOCKS: Final = "blocks"

Message = tuple[dict[str, Any], list[bytes]]


def send(connection: Connection, head: dict[str, Any], blocks: Sequence[bytes | memoryview] = ()) -> None:
    """Send a message.

    Raises
    ------
    OSError
        The other side is gone.
    """
    connection.send_bytes(json.dumps(head | {BLOCKS: len(blocks)}).encode())
    for block in blocks:
        connection.send_bytes(block)


def receive(connection: Connection) -> Message:
    """Receive a message.

    Raises
    ------
    EOFError, OSError
        The other side is gone.
    """
    head = json.loads(connection.recv_bytes())
    return head, [connection.recv_bytes() for _ in range(head.pop(BLOCKS))]


def as_block(array: np.ndarray[Any, Any]) -> memoryview:
    """The bytes of an array, in row order."""
    return np.ascontiguousarray(array).data.cast("B")
