"""How many files and connections this process may have open.

A process may raise its own limit up to the one that it was given. Whatever does not fit below that is made smaller
here, before descriptors run out: shards get a quarter of the files (`indexer.shards.pool`), connections half.
"""

import resource
from typing import Final

_WANTED: Final = 1 << 16
_OWN: Final = 48
"""Files that a process has open before its first connection: sockets, derived files that are mapped, logs, metrics."""
_FEWEST: Final = 10


def raise_limit() -> None:
    """Allow this process as many open files as it may allow itself; 1,024 are usual, which shards alone may take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """How many files a process of this service may have open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)


def connections(wanted: int) -> int:
    """How many connections a process can keep open of those wanted."""
    return min(wanted, max(_FEWEST, (limit() - _OWN) // 2))
