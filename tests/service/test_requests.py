"""What a request may say, and how it is told what is wrong with it."""

import json

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from service.errors import ContractViolation
from service.http.contract import MAX_JSON_BYTES
from tests.service.conforming import OPERATIONS, ConformingClient

PATCHES = "/v1/indexes/small/layers/features.12/neurons/3/patches"
NEURONS = "/v1/indexes/small/layers/features.12/neurons"
SEARCH = "/v1/indexes/small/search"
CELL = "/v1/indexes/small/images/0/layers/features.12/cells"

LIMIT = "must be an integer from 1 to 1000"
MAXIMUM = "must be an integer from 0 to 2147483647"


def arguments(operation: str, query: str = "", **path: str) -> dict[str, object]:
    request = Request(EnvironBuilder(query_string=query).get_environ())
    return OPERATIONS[operation].arguments(request, path)


def test_defaults_are_filled_in_and_types_converted() -> None:
    given = arguments("list_patches", "limit=7&iou=0.25&class=a%20b&min=-1e-3", index="i", layer="l.0", neuron="12")
    assert given == {
        "index": "i", "layer": "l.0", "neuron": 12, "limit": 7, "offset": 0, "class_": "a b", "per_image": "one",
        "iou": 0.25, "y": None, "x": None, "min": -0.001, "generation": None,
    }  # fmt: skip
    assert [type(given[name]) for name in ("limit", "iou", "min")] == [int, float, float]
    assert arguments("list_neurons", "dead=false", index="i", layer="l")["dead"] is False


@pytest.mark.parametrize(
    ("url", "where", "name", "detail"),
    [
        (f"{PATCHES}?limit=0", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=1001", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=1.0", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=1e1", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=%2B1", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=%201", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=1_0", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=%D9%A3", "query", "limit", LIMIT),  # an Arabic 3, which int() would take
        (f"{PATCHES}?limit={'9' * 5000}", "query", "limit", LIMIT),
        (f"{PATCHES}?limit=3&limit=4", "query", "limit", "must be given once"),
        (f"{PATCHES}?offset=-1", "query", "offset", MAXIMUM),
        (f"{PATCHES}?iou=nan", "query", "iou", "must be a number from 0 to 1"),
        (f"{PATCHES}?iou=1.01", "query", "iou", "must be a number from 0 to 1"),
        (f"{PATCHES}?iou=1e-", "query", "iou", "must be a number from 0 to 1"),
        (f"{PATCHES}?min=1e999", "query", "min", "must be a number from -1e+38 to 1e+38"),
        (f"{PATCHES}?min=inf", "query", "min", "must be a number from -1e+38 to 1e+38"),
        (f"{PATCHES}?per_image=two", "query", "per_image", "must be one of one, all"),
        (f"{PATCHES}?class=", "query", "class", "must be a text of 1 to 1024 characters"),
        (f"{NEURONS}?dead=True", "query", "dead", "must be true or false"),
        (f"{NEURONS}?sort=peak", "query", "sort", "must be one of neuron, maximum, mean, std, positive_cells, "
         "positive_images, firing_cells, firing_images, selectivity, auc, auc_at_least, entropy, clarity, "
         "polysemanticity, redundancy"),
        ("/v1/indexes/small/images/0/neurons?fraction=0", "query", "fraction", "must be a number above 0 to 1"),
        ("/v1/indexes/small/layers/features.12/neurons/-1", "path", "neuron", MAXIMUM),
        ("/v1/indexes/small/layers/features.12/neurons/x", "path", "neuron", MAXIMUM),
        ("/v1/indexes/small/images/1.5", "path", "image", "must be an integer from 0 to 9007199254740991"),
        (f"{CELL}/1,/similar", "path", "y", None),
        (f"{CELL}/1,2,3/similar", "path", "y", "must be an integer from 0 to 1000000"),
        (f"{CELL}/1,-2/similar", "path", "x", "must be an integer from 0 to 1000000"),
        ("/healthz?verbose=1", "query", "verbose", "is not known; there are none here"),
        (
            f"{NEURONS}?limits=3", "query", "limits",
            "is not known; there are sort, order, dead, state, class, least, most, limit, offset, generation",
        ),
    ],
)  # fmt: skip
def test_wrong_parameters(client: ConformingClient, url: str, where: str, name: str, detail: str | None) -> None:
    answer = client.get(url)
    if detail is None:
        assert answer.status_code == 404
        return
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"in": where, "name": name, "detail": detail}]
    assert answer.json["detail"] == f"{where} parameter {name} {detail}"


def test_every_fault_is_listed(client: ConformingClient) -> None:
    answer = client.get(f"{NEURONS}/x/patches?limit=0&what=1&ever=2&iou=2")
    named = [(fault["in"], fault["name"]) for fault in answer.json["errors"]]
    assert sorted(named) == [("path", "neuron"), *(("query", name) for name in ("ever", "iou", "limit", "what"))]


@pytest.mark.parametrize(
    "query", ["y=1", "x=1", "iou=0.5", "iou=0.5&per_image=all&y=0&x=0"], ids=["y alone", "x alone", "iou", "iou cell"]
)
def test_parameters_that_do_not_go_together(client: ConformingClient, query: str) -> None:
    answer = client.get(f"{PATCHES}?{query}")
    assert answer.status_code == 422
    assert "both" in answer.json["detail"] or "per_image=all" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "name", "detail"),
    [
        (b"", "", "must be a JSON object in UTF-8"),
        (b"{", "", "must be a JSON object in UTF-8"),
        (b"\xff\xfe", "", "must be a JSON object in UTF-8"),
        (b'{"layer": "features.12", "weights": {"1": NaN}}', "", "must be a JSON object in UTF-8"),
        (b'{"layer": "features.12", "weights": {"1": Infinity}}', "", "must be a JSON object in UTF-8"),
        (b"[" * 100_000, "", "must be a JSON object in UTF-8"),
        (b'{"layer": "features.12", "weights": {"1": ' + b"9" * 10_000 + b"}}", "", "must be a JSON object in UTF-8"),
        (b"[]", "", 'the value is not of type "object"'),
        (b"null", "", 'the value is not of type "object"'),
        (b'{"weights": {"1": 1}}', "", '"layer" is a required property'),
        (b'{"layer": "features.12", "weights": {}}', "/weights", "the value has less than 1 property"),
        (b'{"layer": "features.12", "weights": {"1": 1e999}}', "/weights/1", None),
        (b'{"layer": "features.12", "weights": {"1": "1"}}', "/weights/1", 'the value is not of type "number"'),
        (b'{"layer": "features.12", "weights": {"01": 1}}', "/weights", None),
        (b'{"layer": "features.12", "weights": {"-1": 1}}', "/weights", None),
        (b'{"layer": "features.12", "weights": [1]}', "/weights", 'the value is not of type "object"'),
        (b'{"layer": 12, "weights": {"1": 1}}', "/layer", 'the value is not of type "string"'),
        (b'{"layer": "features.12", "weights": {"1": 1}, "limit": 1.5}', "/limit", None),
        (b'{"layer": "features.12", "weights": {"1": 1}, "limit": true}', "/limit", None),
        (b'{"layer": "features.12", "weights": {"1": 1}, "limit": 1e300}', "/limit", None),
        (b'{"layer": "features.12", "weights": {"1": 1}, "exact": 1}', "/exact", 'the value is not of type "boolean"'),
        (b'{"layer": "features.12", "weights": {"1": 1}, "depth": 1}', "", None),
    ],
)
def test_wrong_bodies(client: ConformingClient, body: bytes, name: str, detail: str | None) -> None:
    length = {"CONTENT_LENGTH": str(len(body))}  # which the test client leaves out for an empty body
    answer = client.post(SEARCH, data=body, content_type="application/json", environ_overrides=length)
    assert answer.status_code == 422
    (fault,) = answer.json["errors"]
    assert (fault["in"], fault["name"]) == ("body", name)
    assert detail is None or fault["detail"] == detail
    assert len(answer.get_data()) < 2000


def test_half_a_character_is_no_layer(client: ConformingClient) -> None:
    answer = client.post(SEARCH, data=b'{"layer": "\\ud800", "weights": {"1": 1}}', content_type="application/json")
    assert answer.status_code == 404


def test_a_whole_number_is_an_integer_however_it_is_written(client: ConformingClient) -> None:
    body = b'{"layer": "features.12", "weights": {"1": 1}, "limit": 3.0, "offset": 2e0}'
    answer = client.post(SEARCH, data=body, content_type="application/json")
    assert (answer.json["limit"], answer.json["offset"]) == (3, 2)
    assert b'"limit":3,' in answer.get_data()


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "multipart/form-data; boundary=x", None])
def test_search_takes_json_only(client: ConformingClient, content_type: str | None) -> None:
    answer = client.post(SEARCH, data=b"{}", content_type=content_type)
    assert answer.status_code == 415
    assert "application/json" in answer.json["detail"]


def test_json_has_its_own_limit(client: ConformingClient) -> None:
    body = json.dumps({"layer": "x" * MAX_JSON_BYTES, "weights": {"1": 1}})
    answer = client.post(SEARCH, data=body, content_type="application/json")
    assert answer.status_code == 413
    assert str(MAX_JSON_BYTES) in answer.json["detail"]


def test_a_body_needs_a_length(client: ConformingClient) -> None:
    answer = client.post(SEARCH, input_stream=None, content_type="application/json")
    assert answer.status_code == 411


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods(client: ConformingClient, method: str) -> None:
    answer = client.open("/v1/indexes", method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert client.get(SEARCH).headers["Allow"] == "POST"


def test_faults_can_be_read_by_programs() -> None:
    with pytest.raises(ContractViolation) as caught:
        arguments("list_neurons", "limit=x", index="i", layer="l")
    assert [fault.as_dict() for fault in caught.value.faults] == [{"in": "query", "name": "limit", "detail": LIMIT}]
