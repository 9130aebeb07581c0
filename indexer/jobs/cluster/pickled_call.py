"""A call for a cluster's worker, as bytes.

Dask's scheduler unpacks every task that it is sent. If a task named our functions, the scheduler would have to import
the network's packages to unpack it. That takes up to half a minute, in which it answers nobody and takes its workers
for dead. Bytes need no import.
"""

import pickle
from collections.abc import Callable
from typing import Any


def seal(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Pack a call into bytes."""
    return pickle.dumps((function, arguments))


def call(sealed: bytes) -> Any:
    """Unpack a call, make it and return its result."""
    function, arguments = pickle.loads(sealed)
    return function(*arguments)
