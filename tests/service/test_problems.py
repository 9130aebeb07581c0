"""Errors: one kind of body, a request id, and nothing that a client must not see."""

import json
import logging
import re
from pathlib import Path

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient

from indexer import errors
from service.app import create_app
from service.errors import Busy
from service.settings import Settings
from tests.service.conforming import CONTRACT, ConformingClient

SECRET = "the secret of /home/someone"


def failing(tmp_path: Path, error: Exception) -> FlaskClient:
    """A client of an application in which "/fails" raises."""
    app: Flask = create_app(Settings(directory=tmp_path))

    def fail() -> None:
        raise error

    app.add_url_rule("/fails", "fails", fail)
    app.add_url_rule("/aborts/<int:status>", "aborts", lambda status: abort(status, description=SECRET))
    return app.test_client()


def check_problem(answer) -> dict:
    assert answer.mimetype == "application/problem+json"
    CONTRACT.validator({"$ref": "#/components/schemas/Problem"}).validate(answer.json)
    assert answer.json["status"] == answer.status_code
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    return answer.json


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.NotFound("what is not there"), 404, "not-found"),
        (errors.InvalidRequest("what is wrong"), 422, "invalid-request"),
        (errors.ImageRejected("why not"), 422, "image-rejected"),
        (errors.ImageUnavailable("which image", changed=True), 409, "image-changed"),
        (errors.ImageUnavailable("which image", changed=False), 410, "image-gone"),
        (errors.ModelUnavailable("why not"), 503, "model-unavailable"),
        (errors.DamagedFile("file", "cause"), 503, "index-unavailable"),
        (errors.NotAnIndex("what"), 503, "index-unavailable"),
        (Busy("full", retry_after=7), 503, "busy"),
    ],
)
def test_domain_errors_say_what_they_are(tmp_path: Path, error: Exception, status: int, kind: str) -> None:
    problem = check_problem(failing(tmp_path, error).get("/fails"))
    assert (problem["status"], problem["type"]) == (status, f"urn:problem-type:unitscope:{kind}")
    assert problem["detail"] == str(error)
    assert problem["instance"] == "/fails"


def test_busy_says_when_to_come_back(tmp_path: Path) -> None:
    assert failing(tmp_path, Busy("full", retry_after=7)).get("/fails").headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), KeyError(SECRET), MemoryError(SECRET), OSError(5, SECRET), errors.IndexBusy(SECRET)]
)
def test_a_fault_of_the_service_shows_nothing_but_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = failing(tmp_path, error).get("/fails")
    problem = check_problem(answer)
    assert (problem["status"], problem["type"].split(":")[-1]) == (500, "internal-error")
    assert SECRET not in answer.get_data(as_text=True)
    assert SECRET in caplog.text
    assert problem["request_id"] in caplog.text


@pytest.mark.parametrize(
    ("status", "given", "kind"),
    [(400, 400, "bad-request"), (404, 404, "not-found"), (405, 405, "method-not-allowed"), (413, 413, "too-large"),
     (415, 415, "unsupported-media-type"), (418, 400, "bad-request"), (429, 429, "too-many-requests"),
     (500, 500, "internal-error"), (502, 500, "internal-error")],
)  # fmt: skip
def test_http_errors_are_problems_too(tmp_path: Path, status: int, given: int, kind: str) -> None:
    answer = failing(tmp_path, RuntimeError()).get(f"/aborts/{status}")
    problem = check_problem(answer)
    assert (problem["status"], problem["type"].split(":")[-1]) == (given, kind)
    assert SECRET not in answer.get_data(as_text=True)


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_a_sane_request_id_is_kept(client: ConformingClient, given: str) -> None:
    for url in ("/healthz", "/nowhere"):
        assert client.get(url, headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "é", "<script>", "a;b", "{}", "a,b"])
def test_any_other_request_id_is_replaced(client: ConformingClient, given: str) -> None:
    found = client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{16}", found)


def test_request_ids_differ(client: ConformingClient) -> None:
    assert len({client.get("/healthz").headers["X-Request-Id"] for _ in range(50)}) == 50


def test_instance_is_a_url(client: ConformingClient) -> None:
    problem = client.get("/v1/indexes/a%20b%22%3Cé").json
    assert problem["instance"] == "/v1/indexes/a%20b%22%3C%C3%A9"


def test_every_kind_of_problem_is_in_the_contract() -> None:
    from service.http import problems

    kinds = {value.name for value in vars(problems).values() if isinstance(value, problems.Kind)}
    documented = CONTRACT.document["components"]["schemas"]["ProblemType"]
    assert {f"{problems.TYPE_PREFIX}{name}" for name in kinds} == set(documented["enum"])
    assert all(f"`{name}`" in documented["description"] for name in kinds)


def test_numbers_that_json_cannot_hold_are_not_sent(tmp_path: Path) -> None:
    from service.handlers import as_json

    with pytest.raises(ValueError, match="JSON"):
        as_json({"value": float("nan")})
    assert json.loads(as_json({"value": 0.1}).get_data()) == {"value": 0.1}
