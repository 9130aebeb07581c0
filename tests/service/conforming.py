"""Clients that hold every answer against openapi.yaml, and fail where it is not what the contract says."""

import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from service.http.contract import Contract
from service.http.problems import MEDIA_TYPE

CONTRACT = Contract.load()
OPERATIONS = {operation.id: operation for operation in CONTRACT.operations}
VALIDATORS: dict[int, Any] = {}
"""By the identity of the schema, which lives as long as `CONTRACT`."""
DECLARED_ONLY = {"ETag", "Link", "Location", "Retry-After", "Allow", "WWW-Authenticate"}
"""Headers that an answer may carry only where the contract says so."""


def check(operation_id: str | None, method: str, response: Response) -> None:
    """Assert that an answer is one that the contract allows; ``operation_id`` is None where there is no route.

    The contract's ``default`` says what a failure looks like. It declares no status, so no answer may rely on it.
    """
    if operation_id is None or method not in (OPERATIONS[operation_id].method, "HEAD"):
        declared = CONTRACT.document["components"]["responses"]["Problem"]
        assert response.status_code in (404, 405)
    else:
        responses = OPERATIONS[operation_id].responses
        assert str(response.status_code) in responses, (
            f"{operation_id} answers {response.status_code}, but declares {', '.join(responses)} only: "
            f"{response.get_data()[:300]!r}"
        )
        declared = responses[str(response.status_code)]
    check_headers(declared.get("headers", {}), response)
    check_body(declared.get("content", {}), method, response)


def check_headers(declared: dict[str, Any], response: Response) -> None:
    for name, node in declared.items():
        header = CONTRACT.resolve(node)
        value = response.headers.get(name)
        if value is None:
            assert not header.get("required"), f"{name} is missing"
        else:
            typed = int(value) if header["schema"]["type"] == "integer" else value
            validate(header["schema"], typed)
    assert {name for name in DECLARED_ONLY if name in response.headers} <= declared.keys()


def check_body(declared: dict[str, Any], method: str, response: Response) -> None:
    if method == "HEAD" or not declared:
        assert response.get_data() == b""
        return
    types = [name for name in declared if matches(name, response.mimetype)]
    assert types, f"{response.mimetype} is none of {', '.join(declared)}"
    if response.mimetype in ("application/json", MEDIA_TYPE):
        body = json.loads(response.get_data(), parse_constant=lambda name: fail(f"{name} is not JSON"))
        validate(declared[types[0]]["schema"], body)
        if response.mimetype == MEDIA_TYPE:
            assert body["status"] == response.status_code
            assert body["request_id"] == response.headers["X-Request-Id"]


def validate(schema: dict[str, Any], value: object) -> None:
    """Hold a value against a schema of the contract, which is compiled once."""
    if id(schema) not in VALIDATORS:
        VALIDATORS[id(schema)] = CONTRACT.validator(schema)
    VALIDATORS[id(schema)].validate(value)


def matches(declared: str, given: str) -> bool:
    return declared == given or (declared.endswith("/*") and given.startswith(declared[:-1]))


def fail(message: str) -> None:
    raise AssertionError(message)


class ConformingClient(FlaskClient):
    """Flask's test client, checking each answer."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        environ = response.request.environ
        try:
            operation_id = self.application.url_map.bind_to_environ(environ).match()[0]
        except HTTPException as error:
            operation_id = None
            if error.code == 405:
                assert response.status_code == 405
        check(operation_id, environ["REQUEST_METHOD"], response)
        return response
