"""The client that holds answers to the contract notices those that break it."""

import json

import pytest
from werkzeug.wrappers import Response

from service.http.problems import MEDIA_TYPE, TYPE_PREFIX
from tests.service.conforming import OPERATIONS, check


def problem(status: int, kind: str = "internal-error", **headers: str) -> Response:
    body = {
        "type": f"{TYPE_PREFIX}{kind}", "title": "It failed", "status": status, "detail": "It failed.",
        "instance": "/v1/indexes", "request_id": "of-this-test",
    }  # fmt: skip
    return Response(json.dumps(body), status, {"X-Request-Id": "of-this-test", **headers}, mimetype=MEDIA_TYPE)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize("status", [400, 402, 418, 500, 502, 505])
def test_a_status_that_an_operation_does_not_declare_fails(operation: str, status: int) -> None:
    with pytest.raises(AssertionError, match=rf"{operation} answers {status}, but declares 20\d"):
        check(operation, OPERATIONS[operation].method, problem(status))


def test_a_declared_failure_passes_and_an_undeclared_one_of_the_same_family_does_not() -> None:
    saliency = next(id for id, operation in OPERATIONS.items() if "501" in operation.responses)
    check(saliency, "GET", problem(501, "not-installed"))
    with pytest.raises(AssertionError, match="501"):
        check("list_indexes", "GET", problem(501, "not-installed"))


def test_without_a_route_only_not_found_and_method_not_allowed_pass() -> None:
    check(None, "GET", problem(404, "not-found"))
    with pytest.raises(AssertionError):
        check(None, "GET", problem(500))


def test_the_body_must_be_that_of_the_status() -> None:
    wrong = problem(404, "not-found")
    wrong.status_code = 422
    with pytest.raises(AssertionError):
        check("get_index", "GET", wrong)
