"""The parent of the processes of the service: starts them, replaces those that end, ends them in order.

It runs no thread and imports nothing that does. A child is a new interpreter, not a fork of this one, and is joined to
it by a socket pair: the child says there that it is alive, and each side sees the other one end.
"""

import contextlib
import logging
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from service.telemetry import metrics
from service.telemetry.metrics import PROCESS

log = logging.getLogger(__name__)

BOOT_SECONDS: Final = 120.0
"""How long a child may take until its first sign of life."""
_STEADY_SECONDS: Final = 5.0
"""A child that lived that long is replaced at once, others after a growing delay."""
LONGEST_DELAY: Final = 5.0
"""Seconds, at most, until a process that has failed is started again."""
_TICK: Final = 0.25
_END_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Role:
    """The work that some of the children do.

    Attributes
    ----------
    name : str
        A word without ``_``; child 0 is called ``name-0``.
    module : str
        The module that they run, as ``python -m`` does.
    count : int
    silence : float
        A child that gives no sign of life for so many seconds is replaced.
    sockets : sequence of socket
        Those that they inherit.
    environment : dict
    """

    name: str
    module: str
    count: int
    silence: float
    sockets: Sequence[socket.socket]
    environment: dict[str, str]


class _Child:
    """A child of a role: its name, and the process that runs under it now."""

    def __init__(self, role: Role, number: int, arguments: Sequence[str]) -> None:
        self.role = role
        self.name = f"{role.name}-{number}"
        self._arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.lifeline: socket.socket | None = None
        self.ready = False
        self.start_at = 0.0
        self._failures = 0
        self._started = self._heard = 0.0

    def start(self) -> socket.socket:
        """Start a process; gives the end of the socket pair on which it shows that it is alive."""
        lifeline, theirs = socket.socketpair()
        self.lifeline = lifeline
        with theirs:
            lifeline.setblocking(False)
            inherited = [theirs.fileno(), *(item.fileno() for item in self.role.sockets)]
            command = [sys.executable, "-m", self.role.module, ",".join(map(str, inherited)), *self._arguments]
            # A process group of its own: Ctrl-C is for the parent, which ends the children in order.
            self.process = subprocess.Popen(
                command,
                env=self.role.environment | {PROCESS: self.name},
                pass_fds=inherited,
                process_group=0,
                stdin=subprocess.DEVNULL,
            )
        self.ready = False
        self._started = self._heard = time.monotonic()
        return lifeline

    def listen(self) -> bool:
        """Take signs of life; False where the child has ended."""
        assert self.lifeline is not None
        try:
            heard = self.lifeline.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if heard and not self.ready:
            self.ready = True
            metrics.PROCESSES.labels(self.role.name).inc()
        self._heard = time.monotonic()
        return bool(heard)

    def silent(self) -> bool:
        return time.monotonic() - self._heard > (self.role.silence if self.ready else BOOT_SECONDS)

    def put_off(self) -> None:
        """Forget a start that failed, until some time later."""
        if self.lifeline is not None:
            self.lifeline.close()
        self.process = self.lifeline = None
        self.start_at = time.monotonic() + LONGEST_DELAY

    def bury(self) -> int:
        """Wait for the end of a process that is ending; its exit status."""
        assert self.process is not None
        assert self.lifeline is not None
        self.lifeline.close()
        try:
            status = self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.ready:
            metrics.PROCESSES.labels(self.role.name).dec()
            self.ready = False
        steady = time.monotonic() - self._started > _STEADY_SECONDS
        self._failures = 0 if steady else self._failures + 1
        self.start_at = time.monotonic() + (0 if steady else min(0.05 * 2**self._failures, LONGEST_DELAY))
        self.process = self.lifeline = None
        return status


class Supervisor:
    """Children of some roles.

    Parameters
    ----------
    roles : sequence of Role
        In the order in which they are told to end.
    arguments : sequence of str
        Every child gets them, behind the numbers of the descriptors that it inherits.
    stop_seconds : float
        How long the children may take to end.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        arguments: Sequence[str],
        stop_seconds: float,
    ) -> None:
        self._roles = roles
        self._children = [_Child(role, number, arguments) for role in roles for number in range(role.count)]
        self._stop_seconds = stop_seconds
        self._selector = selectors.DefaultSelector()
        self._signals = 0

    def run(self, ready: Callable[[], None]) -> bool:
        """Keep the children running until told to end by SIGTERM or SIGINT; a second signal ends them at once.

        Parameters
        ----------
        ready : callable
            Called once, when a child of each role has shown that it is alive.

        Returns
        -------
        bool
            False where a child could not be started at all.
        """
        wake, woken = socket.socketpair()
        with wake, woken, self._selector:
            for end in (wake, woken):
                end.setblocking(False)
            self._selector.register(wake, selectors.EVENT_READ)
            signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._on_signal)
            started = self._until_ready(wake)
            if started:
                ready()
            while started and not self._signals:
                self._start_due()
                self._watch(wake)
            self._stop(wake)
            signal.set_wakeup_fd(-1)
        metrics.close()
        return started or bool(self._signals)

    def _on_signal(self, *_: object) -> None:
        self._signals += 1

    def _until_ready(self, wake: socket.socket) -> bool:
        for child in self._children:
            self._start(child)
        waited_for = {role.name for role in self._roles}
        while waited_for and not self._signals:
            self._watch(wake)
            waited_for -= {child.role.name for child in self._children if child.ready}
            if any(child.process is None and child.role.name in waited_for for child in self._children):
                return False
        return not self._signals

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and time.monotonic() >= child.start_at:
                self._start(child)

    def _start(self, child: _Child) -> None:
        try:
            lifeline = child.start()
        except OSError as error:  # no memory, process or descriptor is free, which passes
            log.warning("process %s cannot be started (%s)", child.name, error.strerror)
            child.put_off()
            return
        self._selector.register(lifeline, selectors.EVENT_READ, child)

    def _watch(self, wake: socket.socket) -> None:
        for key, _ in self._selector.select(_TICK):
            if key.data is not None:
                if not key.data.listen():
                    self._bury(key.data, "")
            else:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
        for child in self._children:
            if child.process is not None and child.silent():
                child.process.kill()
                self._bury(child, "silence")

    def _bury(self, child: _Child, way: str) -> None:
        assert child.lifeline is not None
        self._selector.unregister(child.lifeline)
        status = child.bury()
        way = way or ("signal" if status < 0 else "exit")
        level = logging.INFO if self._signals else logging.WARNING
        log.log(level, "process %s ended (%s %d)", child.name, way, abs(status))
        metrics.bury(child.role.name, child.name, way)

    def _stop(self, wake: socket.socket) -> None:
        deadline = time.monotonic() + self._stop_seconds + _END_SECONDS
        asked = self._signals
        for role in self._roles:
            for listening in role.sockets:  # only the children hold it still: new connections are refused
                listening.close()
            alive = [child for child in self._children if child.role is role and child.process is not None]
            self._signal(alive, signal.SIGTERM)
            while any(child.process is not None for child in alive):
                self._watch(wake)
                if time.monotonic() > deadline or self._signals > max(asked, 1):
                    self._signal(alive, signal.SIGKILL)

    @staticmethod
    def _signal(children: Sequence[_Child], number: signal.Signals) -> None:
        for child in children:
            if child.process is not None:
                child.process.send_signal(number)
