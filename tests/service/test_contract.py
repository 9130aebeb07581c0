"""openapi.yaml: complete, valid, and the same set of routes as the application."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.http.contract import METHODS, Contract
from service.views import HANDLERS, VIEWS
from tests.service.conforming import CONTRACT, OPERATIONS, ConformingClient

DOCUMENT = CONTRACT.document


def nodes(node: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document with its place, but not what is an example."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key != "example":
                yield from nodes(value, f"{path}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from nodes(value, f"{path}/{number}")


def test_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_reference_stands_for_something_and_every_component_is_used() -> None:
    used = {node["$ref"] for _, node in nodes(DOCUMENT) if "$ref" in node}
    for reference in used:
        assert CONTRACT.resolve({"$ref": reference})
    components = {f"#/components/{kind}/{name}" for kind, group in DOCUMENT["components"].items() for name in group}
    by_name = {f"#/components/securitySchemes/{name}" for rule in DOCUMENT["security"] for name in rule}
    assert components == used | by_name


def test_every_path_has_a_route_and_every_route_a_path(client: ConformingClient) -> None:
    app: Flask = client.application
    routes = {(rule.rule, method) for rule in app.url_map.iter_rules() for method in rule.methods or ()}
    gets = {(operation.rule, operation.method) for operation in CONTRACT.operations}
    heads = {(rule, "HEAD") for rule, method in gets if method == "GET"}
    assert routes == gets | heads
    documented = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item if method in METHODS}
    flat = {(re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule), method.lower()) for rule, method in gets}
    assert flat == documented


def test_every_view_is_one_operation() -> None:
    assert VIEWS.keys() == OPERATIONS.keys()
    assert sum(len(views) for views in HANDLERS.values()) == len(VIEWS)
    assert len(OPERATIONS) == len(CONTRACT.operations)


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_operation_is_described(operation: Any) -> None:
    definition = DOCUMENT["paths"][operation.path][operation.method.lower()]
    assert definition["summary"]
    assert definition["description"]
    assert "default" in definition["responses"]
    in_path = {parameter.name for parameter in operation.parameters if parameter.where == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", operation.path))
    if "{index}" in operation.path:
        assert {"404", "422", "503"} <= definition["responses"].keys()
    if operation.path.startswith("/v1"):
        assert operation.roles is not None
        assert {"401", "429"} | ({"403"} if operation.roles else set()) <= definition["responses"].keys()
    if any(parameter.where == "query" for parameter in operation.parameters):
        assert "422" in definition["responses"]


def test_everything_is_described() -> None:
    for place, node in nodes(DOCUMENT):
        parts = place.split("/")
        is_property = parts[-2] == "properties" and "allOf" not in parts if len(parts) > 2 else False
        is_component = len(parts) == 4 and parts[1] == "components"
        is_parameter = "in" in node and "schema" in node
        if (is_property or is_component or is_parameter) and "$ref" not in node:
            assert node.get("description"), place


@pytest.mark.parametrize("operation", CONTRACT.operations, ids=lambda operation: operation.id)
def test_responses_headers_and_bodies_are_described_and_have_examples(operation: Any) -> None:
    for status, response in operation.responses.items():
        assert response["description"], status
        for name, node in response.get("headers", {}).items():
            header = CONTRACT.resolve(node)
            assert header["description"], (status, name)
            assert CONTRACT.validator(header["schema"]).is_valid(header["example"]), (status, name)
        for media_type, content in response.get("content", {}).items():
            assert "example" in content or "json" not in media_type, (status, media_type)
    for media_type, content in operation.content.items():
        assert "example" in content or media_type != "application/json"
        assert content["schema"], media_type


def test_parameters_have_examples_that_are_allowed() -> None:
    for place, node in nodes(DOCUMENT):
        if "in" in node and "schema" in node:
            assert CONTRACT.validator(node["schema"]).is_valid(node["example"]), place


def test_examples_are_allowed() -> None:
    count = 0
    for _, node in nodes(DOCUMENT):
        schema = node.get("schema", node)
        if "example" in node and isinstance(schema, dict) and "in" not in node:
            CONTRACT.validator(schema).validate(node["example"])
            count += 1
    assert count >= 15, count


def test_example_bodies_can_be_asked(client: ConformingClient) -> None:
    example = OPERATIONS["search_direction"].content["application/json"]["example"]
    assert client.post("/v1/indexes/small/search", json=example).status_code == 200


def test_contract_is_served_as_it_is(client: ConformingClient) -> None:
    answer = client.get("/openapi.yaml")
    assert answer.get_data() == (Path(__file__).parents[2] / "openapi.yaml").read_bytes()
    assert answer.mimetype == "application/yaml"


def test_contract_comes_from_the_package_where_it_is_packed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "openapi.yaml").write_bytes(CONTRACT.text + b"\n# packed\n")
    monkeypatch.setattr("service.http.contract.resources.files", lambda package: tmp_path)
    assert Contract.load().text.endswith(b"# packed\n")


def test_no_description_is_cut_at_a_comma() -> None:
    """In YAML between braces, an unquoted text ends at a comma, and its rest becomes a property without a value."""
    cut = [f"{path}/{name}" for path, node in nodes(DOCUMENT) for name, value in node.items() if value is None]
    assert [path for path in cut if not path.endswith("/default")] == []
