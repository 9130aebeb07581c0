"""Work for a cluster as bytes.

Dask's scheduler unpacks every task it is sent. It must not need the network's packages for that: importing them takes
it up to half a minute, in which it answers nobody and takes its workers for dead.
"""

import pickle
from collections.abc import Callable
from typing import Any


def seal(function: Callable[..., Any], *arguments: Any) -> bytes:
    """A call as bytes."""
    return pickle.dumps((function, arguments))


def call(sealed: bytes) -> Any:
    """What the call gives."""
    function, arguments = pickle.loads(sealed)
    return function(*arguments)
