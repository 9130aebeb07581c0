"""waitress, set up so that no request touches the disk, every refusal is a problem body, and it ends in order.

1. ``sockets = listening.listen(host, port)``; several processes may serve the same ones.
2. ``server = Server(app, settings, sockets)``
3. ``server.run(tick)`` serves until ``server.stop()``, which may be called from a signal handler or another thread.

waitress reads a whole request before it gives it to a thread, so a client that sends slowly holds up nobody.
"""

import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask, WSGITask

from service import metrics, problems
from service.listening import BACKLOG
from service.settings import Settings

FORM_OVERHEAD: Final = 65_536
"""What a multipart form may add to the largest upload, in bytes, before the application is even asked."""
MAX_ANSWER_BYTES: Final = 1 << 30
_TICK: Final = 1.0
_ENDING_TICK: Final = 0.05


class ProblemTask(ErrorTask):
    """Answers what is not HTTP, or is too large to be read at all."""

    def execute(self) -> None:
        error = self.request.error
        kind = problems.kind_of_status(error.code)
        request_id = secrets.token_hex(8)
        content = problems.body(kind, str(error.body), "/", request_id)
        self.status = f"{kind.status} {kind.title}"
        self.response_headers = [
            ("Content-Type", problems.MEDIA_TYPE),
            ("Content-Length", str(len(content))),
            ("X-Request-Id", request_id),
        ]
        self.set_close_on_finish()
        self.content_length = len(content)
        self.write(content)
        metrics.REQUESTS.labels(metrics.NO_ROUTE, metrics.OTHER_METHOD, str(kind.status)).inc()


class LastTask(WSGITask):
    """Answers a request; a client whose server is ending is told not to send another on this connection."""

    def build_response_header(self) -> bytes:
        if self.channel.server.ending:
            self.set_close_on_finish()
        return super().build_response_header()


class Channel(HTTPChannel):
    """A connection whose errors are problems."""

    error_task_class = ProblemTask
    task_class = LastTask

    @property
    def idle(self) -> bool:
        """Whether no request is being received, worked on or answered."""
        return not (self.requests or self.request or self.total_outbufs_len or self.close_when_flushed)


class Server:
    """Serves an application on sockets that listen already."""

    def __init__(self, app: Flask, settings: Settings, sockets: Sequence[socket.socket]) -> None:
        largest = settings.max_upload_bytes + FORM_OVERHEAD
        self._stop_seconds = settings.stop_seconds
        self._map: dict[int, Any] = {}
        self._server = create_server(
            app,
            self._map,
            sockets=list(sockets),
            backlog=BACKLOG,
            threads=settings.threads,
            connection_limit=settings.connections,
            max_request_body_size=largest,
            inbuf_overflow=largest,
            outbuf_overflow=MAX_ANSWER_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        self._listening = [item for item in self._map.values() if isinstance(item, BaseWSGIServer)]
        for item in self._listening:
            item.channel_class = Channel
            item.ending = False
        self._stopping = False

    def run(self, tick: Callable[[], None]) -> None:
        """Serve; ``tick`` is called about every second.

        Requests in flight are answered before this returns, unless they take longer than ``stop_seconds``.
        """
        tick_at = 0.0
        while not self._stopping:
            wasyncore.loop(_TICK, use_poll=True, map=self._map, count=1)
            if time.monotonic() >= tick_at:
                tick()
                metrics.THREAD_QUEUE.set(len(self._server.task_dispatcher.queue))
                tick_at = time.monotonic() + _TICK
        self._end(tick)

    def stop(self) -> None:
        """Take no more connections, answer what is in flight, end."""
        if not self._stopping:
            self._stopping = True
            self._listening[0].pull_trigger()

    def _end(self, tick: Callable[[], None]) -> None:
        wasyncore.loop(0, use_poll=True, map=self._map, count=1)  # whoever is at the door already
        for item in self._listening:
            item.ending = True
            item.del_channel()
            item.socket.close()
        deadline = time.monotonic() + self._stop_seconds
        while self._close_idle() and time.monotonic() < deadline:
            wasyncore.loop(_ENDING_TICK, use_poll=True, map=self._map, count=1)
            tick()
        self._server.task_dispatcher.shutdown(timeout=0.5)
        wasyncore.close_all(self._map, ignore_all=True)

    def _close_idle(self) -> bool:
        """Close connections on which nothing is under way; whether there are others."""
        channels = [item for item in self._map.values() if isinstance(item, Channel)]
        for channel in channels:
            if channel.idle:
                channel.handle_close()
        return any(isinstance(item, Channel) for item in self._map.values())
