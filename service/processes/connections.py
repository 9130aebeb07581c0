"""The door of a process: connections are accepted while there is room, and idle ones make room for others.

waitress alone goes on asking a full process for connections, without a pause and with a traceback each time.
"""

import errno
import logging
import select
import time
from typing import Final

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from service.processes.http_tasks import LastTask, ProblemTask

log = logging.getLogger(__name__)

_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE: Final = 0.25
"""Seconds until another connection is accepted after there was no room for one."""
_IDLE: Final = 1.0
_STUCK: Final = 5.0
"""Seconds after which a connection may be closed for another: between two requests, and in the middle of one."""
_SHARE: Final = 4
"""One connection in so many is closed at a time."""


ENTRIES: Final = 2
"""What waitress itself adds, for each socket that listens, to the map of connections that it counts."""


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose errors are problems."""

    error_task_class = ProblemTask
    task_class = LastTask
    last_activity: float

    @property
    def idle(self) -> bool:
        """Whether no request is being received, worked on or answered."""
        return not (self.requests or self.request or self.total_outbufs_len or self.close_when_flushed)

    @property
    def stuck(self) -> bool:
        """Whether a request has begun to come, and nothing of it is worked on or answered."""
        return not (self.requests or self.total_outbufs_len or self.close_when_flushed)


class Door(TcpWSGIServer):  # type: ignore[misc]
    """A listening socket that is served."""

    channel_class = Channel
    ending = False
    next_channel_cleanup: float
    _closed_until = 0.0

    def readable(self) -> bool:
        now = time.time()
        if now >= self.next_channel_cleanup:
            self.next_channel_cleanup = now + self.adj.cleanup_interval
            self.maintenance(now)
        return self.accepting and not self.full and time.monotonic() >= self._closed_until

    @property
    def full(self) -> bool:
        """Whether there are as many connections as there may be."""
        limit: int = self.adj.connection_limit
        return len(self._map) >= limit

    def make_room(self) -> None:
        """Close some idle connections where others wait. Not to be called while the map is being walked through."""
        if self.full and self._somebody_waits():
            self._close_idle("%d connections are open, as many as there may be; closed %d that were idle the longest")

    def handle_accept(self) -> None:
        try:
            accepted, address = self.socket.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._closed_until = time.monotonic() + _PAUSE
                self._close_idle(f"{error.strerror}, with %d connections; closed %d that were idle the longest")
            return  # else another process took it, or the client is gone
        try:
            accepted.setblocking(False)
            self.set_socket_options(accepted)
            self.channel_class(self, accepted, self.fix_addr(address), self.adj, map=self._map)
        except OSError:  # the client is gone
            accepted.close()

    def _somebody_waits(self) -> bool:
        asked = select.poll()
        asked.register(self.socket, select.POLLIN)
        return bool(asked.poll(0))

    def _close_idle(self, message: str) -> None:
        """Close some connections on which nothing has happened for a while; first those that are between requests."""
        channels = [item for item in self._map.values() if isinstance(item, Channel)]
        now = time.time()  # as waitress notes it
        idle = [channel for channel in channels if channel.idle and now - channel.last_activity > _IDLE]
        stuck = [
            channel
            for channel in channels
            if not channel.idle and channel.stuck and now - channel.last_activity > _STUCK
        ]
        in_order = [*sorted(idle, key=_last_activity), *sorted(stuck, key=_last_activity)]
        chosen = in_order[: max(1, len(channels) // _SHARE)]
        for channel in chosen:
            channel.handle_close()
        log.warning(message, len(channels), len(chosen))


def _last_activity(channel: Channel) -> float:
    return channel.last_activity
