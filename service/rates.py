"""How often a client may ask: a token bucket for each, shared by all processes of a service.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm), in a slot of memory
that a process shares with those forked from it. Slots are locked by the system, so no request is counted twice or not
at all, whichever process takes it. Clients are spread over the slots by a keyed hash; two that share a slot share its
allowance: of a thousand clients at a time, some 15.
"""

import fcntl
import hashlib
import ipaddress
import mmap
import secrets
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SLOTS: Final = 1 << 16
_SLOT: Final = struct.Struct("d")
_ROUNDING: Final = 1e-6
"""Seconds; what subtracting times of day loses."""


class Rates:
    """At most ``burst`` requests of a client at once, and ``per_second`` on average."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._interval = 1 / per_second
        self._depth = burst * self._interval + _ROUNDING
        self._key = secrets.token_bytes(16)
        self._full_at = mmap.mmap(-1, SLOTS * _SLOT.size)  # shared with forks, in no file: a full disk does not matter
        self._locks = tempfile.TemporaryFile()  # noqa: SIM115 - only locked, never written
        weakref.finalize(self, self._locks.close)
        self._lock = threading.Lock()

    def take(self, client: str) -> float:
        """Count a request. 0 where it may go on; else the seconds after which another try is worth it."""
        digest = hashlib.blake2b(client.encode(), digest_size=8, key=self._key).digest()
        offset = int.from_bytes(digest) % SLOTS * _SLOT.size
        with self._locked(offset):
            now = time.monotonic()
            full_at = max(_SLOT.unpack_from(self._full_at, offset)[0], now) + self._interval
            wait = full_at - now - self._depth
            if wait <= 0:
                _SLOT.pack_into(self._full_at, offset, full_at)
            return max(wait, 0.0)

    @contextmanager
    def _locked(self, offset: int) -> Iterator[None]:
        with self._lock:  # the system's locks keep processes apart, not threads
            fcntl.lockf(self._locks, fcntl.LOCK_EX, _SLOT.size, offset)
            try:
                yield
            finally:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, _SLOT.size, offset)


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found), 64), strict=False))
