"""Logs: one JSON object a line, whatever is logged."""

import json
import logging
import sys

import pytest

from service.telemetry.logs import FIELDS, JsonFormatter
from tests.service.conforming import ConformingClient


def record(message: str, *arguments: object, **attributes: object) -> logging.LogRecord:
    made = logging.LogRecord("a.logger", logging.ERROR, __file__, 1, message, arguments, None)
    made.__dict__.update(attributes)
    return made


@pytest.mark.parametrize("text", ["plain", "two\nlines", 'a "quote"', "é 💩", "\udcff", "\x00\x1b[31m"])
def test_a_line_is_one_object(text: str) -> None:
    line = JsonFormatter("worker-0").format(record("of %s", text, **{FIELDS: {"path": text}}))
    assert "\n" not in line
    assert line.isascii()
    found = json.loads(line)
    assert (found["message"], found["path"]) == (f"of {text}", text)
    assert (found["level"], found["logger"], found["process"]) == ("error", "a.logger", "worker-0")


def test_the_time_is_utc_with_milliseconds() -> None:
    made = record("x", created=1_000_000_000.0625, msecs=62.5)
    assert json.loads(JsonFormatter("p").format(made))["time"] == "2001-09-09T01:46:40.062Z"


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError("of this test")
    except ValueError:
        line = JsonFormatter("p").format(record("failed", exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: of this test" in json.loads(line)["traceback"]


def test_requests_are_logged_under_their_id(client: ConformingClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "service.requests"):
        answer = client.get("/v1/indexes/small/images/77777?", headers={"X-Request-Id": "mine"})
    (fields,) = (getattr(entry, FIELDS) for entry in caplog.records if entry.name == "service.requests")
    assert answer.headers["X-Request-Id"] == fields["request_id"] == answer.json["request_id"] == "mine"
    assert (fields["status"], fields["route"]) == (404, "/v1/indexes/{index}/images/{image}")
    assert fields["bytes"] == len(answer.get_data())
