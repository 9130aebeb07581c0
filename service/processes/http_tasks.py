"""How waitress answers one request in this service."""

import secrets

from waitress.task import ErrorTask, WSGITask

from service.http import problems
from service.telemetry import metrics


class ProblemTask(ErrorTask):  # type: ignore[misc]
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


class LastTask(WSGITask):  # type: ignore[misc]
    """Answers a request; a client whose server is ending is told not to send another on this connection."""

    def build_response_header(self) -> bytes:
        if self.channel.server.ending:
            self.set_close_on_finish()
        header: bytes = super().build_response_header()
        return header
