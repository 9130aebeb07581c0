"""waitress, set up so that nothing of a request touches the disk and every refusal is a problem body."""

import secrets
from typing import Any

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask

from service import problems
from service.settings import Settings

FORM_OVERHEAD = 65_536
"""What a multipart form may add to the largest upload, in bytes, before the application is even asked."""
MAX_ANSWER_BYTES = 1 << 30


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


class ProblemChannel(HTTPChannel):
    """A connection whose errors are problems."""

    error_task_class = ProblemTask


def make_server(app: Flask, settings: Settings) -> Any:
    """A waitress server that listens already; ``run()`` serves until it is interrupted, ``close()`` ends it."""
    largest = settings.max_upload_bytes + FORM_OVERHEAD
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        sockets,
        host=settings.host,
        port=settings.port,
        threads=settings.threads,
        max_request_body_size=largest,
        inbuf_overflow=largest,
        outbuf_overflow=MAX_ANSWER_BYTES,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    for listening in sockets.values():
        if isinstance(listening, BaseWSGIServer):
            listening.channel_class = ProblemChannel
    return server


def addresses(server: Any) -> list[str]:
    """The URLs that a server answers at."""
    listening = getattr(server, "effective_listen", None) or [(server.effective_host, server.effective_port)]
    return [f"http://{f'[{host}]' if ':' in host else host}:{port}/" for host, port in listening]
