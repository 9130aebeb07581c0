"""Every request, counted, timed and logged."""

import logging
import time
from typing import Final

from flask import Flask, Response, g

from service.http.contract import Operation
from service.http.current import current_request
from service.telemetry import logs, metrics

log = logging.getLogger(logs.REQUESTS)

_NOT_MODIFIED: Final = 304


def install(app: Flask, operations: list[Operation]) -> None:
    """Observe the requests of an application.

    Call it before anything else is installed there: the first to be installed sees a request first and its answer last.
    """
    routes = {operation.id: operation.path for operation in operations}
    app.before_request(_begin)
    app.after_request(lambda response: _finish(response, routes))
    app.teardown_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    metrics.IN_PROGRESS.inc()


def _end(_: BaseException | None) -> None:
    metrics.IN_PROGRESS.dec()


def _finish(response: Response, routes: dict[str, str]) -> Response:
    request, seconds = current_request(), time.perf_counter() - g.started
    route = routes.get(request.endpoint or "", metrics.NO_ROUTE)
    method = request.method if request.method in metrics.METHODS else metrics.OTHER_METHOD
    size = 0 if request.method == "HEAD" else response.content_length or 0
    metrics.REQUESTS.labels(route, method, str(response.status_code)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)
    metrics.RESPONSE_BYTES.labels(route).inc(size)
    if request.if_none_match:
        metrics.CONDITIONAL.labels("known" if response.status_code == _NOT_MODIFIED else "changed").inc()
    log.info(
        "%s %s %d",
        request.method,
        request.path,
        response.status_code,
        extra={
            logs.FIELDS: {
                "request_id": g.request_id,
                "client": request.remote_addr,
                "token": g.get("token"),
                "method": request.method,
                "path": request.path,
                "route": route,
                "status": response.status_code,
                "bytes": size,
                "seconds": round(seconds, 6),
            }
        },
    )
    return response
