"""waitress, set up so that no request touches the disk, every refusal is a problem body, and it ends in order.

1. ``sockets = listening.listen(host, port)``; several processes may serve the same ones.
2. ``server = Server(app, settings, sockets)``
3. ``server.run(tick)`` serves until ``server.stop()``, which may be called from a signal handler or another thread.

waitress reads a whole request before it gives it to a thread, so a client that sends slowly holds up nobody.
"""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from service.processes import descriptors
from service.processes.connections import ENTRIES, Channel, Door
from service.processes.sockets import BACKLOG
from service.settings import Settings
from service.telemetry import metrics

log = logging.getLogger(__name__)

FORM_OVERHEAD: Final = 65_536
"""What a multipart form may add to the largest upload, in bytes, before the application is even asked."""
MAX_ANSWER_BYTES: Final = 1 << 30
_TICK: Final = 1.0
_FULL_TICK: Final = 0.25
_ENDING_TICK: Final = 0.05


def _fitting(settings: Settings) -> int:
    """How many connections this process keeps open; says so where it is fewer than were asked for."""
    fitting = descriptors.connections(settings.connections)
    if fitting < settings.connections:
        log.warning(
            "this process may have %d files open (ulimit -n), so it keeps %d connections and not %d; the longest idle "
            "make room for more",
            descriptors.limit(), fitting, settings.connections,
        )  # fmt: skip
    return fitting


class Server:
    """Serves an application on sockets that listen already."""

    def __init__(self, app: Flask, settings: Settings, sockets: Sequence[socket.socket]) -> None:
        largest = settings.max_upload_bytes + FORM_OVERHEAD
        self._stop_seconds = settings.stop_seconds
        self._map: dict[int, Any] = {}
        adjustments = Adjustments(
            sockets=list(sockets),
            backlog=BACKLOG,
            threads=settings.threads,
            connection_limit=_fitting(settings) + ENTRIES * len(sockets),
            max_request_body_size=largest,
            inbuf_overflow=largest,
            outbuf_overflow=MAX_ANSWER_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=False,  # the application decides which proxies to believe
        )
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.set_thread_count(settings.threads)
        self._doors = [self._door(app, adjustments, listening) for listening in sockets]
        self._stopping = False

    def _door(self, app: Flask, adjustments: Adjustments, listening: socket.socket) -> Door:
        about = (listening.family, listening.type, listening.proto, listening.getsockname())
        return Door(
            app, self._map, _sock=listening, dispatcher=self._dispatcher, adj=adjustments, sockinfo=about,
            bind_socket=False,
        )  # fmt: skip

    def run(self, tick: Callable[[], None]) -> None:
        """Serve; ``tick`` is called about every second.

        Requests in flight are answered before this returns, unless they take longer than ``stop_seconds``.
        """
        tick_at = 0.0
        while not self._stopping:
            full = any(door.full for door in self._doors)
            wasyncore.loop(_FULL_TICK if full else _TICK, use_poll=True, map=self._map, count=1)
            for door in self._doors:
                door.make_room()
            if time.monotonic() >= tick_at:
                tick()
                metrics.THREAD_QUEUE.set(len(self._dispatcher.queue))
                tick_at = time.monotonic() + _TICK
        self._end(tick)

    def stop(self) -> None:
        """Take no more connections, answer what is in flight, end."""
        if not self._stopping:
            self._stopping = True
            self._doors[0].pull_trigger()

    def _end(self, tick: Callable[[], None]) -> None:
        wasyncore.loop(0, use_poll=True, map=self._map, count=1)  # connections that wait to be accepted already
        for item in self._doors:
            item.ending = True
            item.del_channel()
            item.socket.close()
        deadline = time.monotonic() + self._stop_seconds
        while self._close_idle() and time.monotonic() < deadline:
            wasyncore.loop(_ENDING_TICK, use_poll=True, map=self._map, count=1)
            tick()
        self._dispatcher.shutdown(timeout=0.5)
        wasyncore.close_all(self._map, ignore_all=True)

    def _close_idle(self) -> bool:
        """Close connections on which nothing is under way; whether there are others."""
        channels = [item for item in self._map.values() if isinstance(item, Channel)]
        for channel in channels:
            if channel.idle:
                channel.handle_close()
        return any(isinstance(item, Channel) for item in self._map.values())
