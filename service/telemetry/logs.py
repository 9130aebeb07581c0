"""Logs as JSON, one object a line, on standard error.

The standard library is enough for it: structlog was measured at 59 microseconds a request, a third of what the rest of
the handling costs.
"""

import json
import logging
import sys
import time
from collections import Counter
from typing import Final, TextIO

FIELDS: Final = "fields"
"""``log.info(text, extra={FIELDS: {...}})`` puts more into the line."""
REQUESTS: Final = "service.requests"
"""The logger of the line that each request gets."""
MOST_A_SECOND: Final = 10
_encode: Final = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """A record -> a JSON object: time (UTC), level, logger, process, message, more fields, traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


class BoundedHandler(logging.StreamHandler[TextIO]):
    """Writes at most so many lines of one kind in a second, and then how many it left out.

    Of one kind are the lines of one logger whose text is the same before its values are filled in. Those of requests
    are not bounded: there is one for each, and their number is bounded by what the service can answer.

    Parameters
    ----------
    most : int
        Lines of a kind in a second.
    """

    def __init__(self, stream: TextIO, most: int = MOST_A_SECOND) -> None:
        super().__init__(stream)
        self._most = most
        self._second = 0
        self._counts: Counter[tuple[str, int, str]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.sweep()
        if record.name != REQUESTS:
            kind = (record.name, record.levelno, str(record.msg))
            self._counts[kind] += 1
            if self._counts[kind] > self._most:
                return
        super().emit(record)

    def sweep(self) -> None:
        """Say what was left out in a second that is over. `logging` has locked the handler while it emits."""
        assert self.lock is not None
        with self.lock:
            if self._second == (second := int(time.monotonic())):
                return
            counts, self._counts, self._second = self._counts, Counter(), second
            for (name, level, message), count in counts.items():
                if count > self._most:
                    left_out = count - self._most
                    fields = {FIELDS: {"left_out": left_out, "kind": message}}
                    text = f"left out {left_out} more lines of one kind that came within a second"
                    line = logging.LogRecord(name, level, __file__, 0, text, (), None)
                    line.__dict__.update(fields)
                    super().emit(line)

    def close(self) -> None:
        self._second = -1
        self.sweep()
        super().close()


def sweep() -> None:
    """Say what was left out, also where nothing is logged any more."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BoundedHandler):
            handler.sweep()


def configure(level: str, process: str) -> None:
    """Log what is of this level or above; ``process`` names this one of the service."""
    handler = BoundedHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("faiss", "waitress.queue"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
