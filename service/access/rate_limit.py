"""How often a client may ask: a token bucket for each, shared by all processes of a service.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm), in a slot of a file
that the processes map into memory. Slots are locked by the system, so no request is counted twice or not at all,
whichever process takes it. Clients are spread over the slots by a keyed hash; two that share a slot share its
allowance: of a thousand clients at a time, some 15.
"""

import fcntl
import hashlib
import ipaddress
import mmap
import os
import secrets
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

SLOTS: Final = 1 << 16
_SLOT: Final = struct.Struct("d")
_KEY_BYTES: Final = 16
_SIZE: Final = _KEY_BYTES + SLOTS * _SLOT.size
_ROUNDING: Final = 1e-6
"""Seconds that may be lost when times are subtracted."""


class Rates:
    """At most ``burst`` requests of a client at once, and ``per_second`` on average.

    Parameters
    ----------
    file : Path, optional
        Where the buckets are: the same for the processes that share them. Without one they are this process's own.
    """

    def __init__(self, per_second: float, burst: int, file: Path | None = None) -> None:
        self._interval = 1 / per_second
        self._depth = burst * self._interval + _ROUNDING
        self._file = tempfile.TemporaryFile() if file is None else open(file, "a+b")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        _fill(self._file)
        self._memory = mmap.mmap(self._file.fileno(), _SIZE)
        self._key = self._memory[:_KEY_BYTES]
        self._lock = threading.Lock()

    def take(self, client: str) -> float:
        """Count a request; gives 0 if it may go on, or the seconds after which another try is worth it."""
        digest = hashlib.blake2b(client.encode(), digest_size=8, key=self._key).digest()
        offset = _KEY_BYTES + int.from_bytes(digest) % SLOTS * _SLOT.size
        with self._locked(offset):
            now = time.monotonic()  # since the machine started: the same for every process
            before: float = _SLOT.unpack_from(self._memory, offset)[0]
            full_at = max(before, now) + self._interval
            wait = full_at - now - self._depth
            if wait <= 0:
                _SLOT.pack_into(self._memory, offset, full_at)
            return max(wait, 0.0)

    @contextmanager
    def _locked(self, offset: int) -> Iterator[None]:
        with self._lock:  # the system's locks keep processes apart, not threads
            fcntl.lockf(self._file, fcntl.LOCK_EX, _SLOT.size, offset)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _SLOT.size, offset)


def _fill(file: IO[bytes]) -> None:
    """Full buckets, behind a key, unless another process has put them there already."""
    fcntl.lockf(file, fcntl.LOCK_EX)
    try:
        if os.fstat(file.fileno()).st_size < _SIZE:
            # Written and not only reserved: a disk that is full later must not matter.
            file.write(secrets.token_bytes(_KEY_BYTES) + bytes(_SIZE - _KEY_BYTES))
            file.flush()
    finally:
        fcntl.lockf(file, fcntl.LOCK_UN)


def network_of(address: str) -> str:
    """The address or network that counts as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
