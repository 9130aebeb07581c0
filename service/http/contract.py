"""openapi.yaml, enforced: a request -> typed arguments, or every fault it has.

1. ``contract = Contract.load()`` reads the document.
2. ``operation.arguments(request, path)`` for one of ``contract.operations`` gives the parameters and the properties of
   a JSON body by name, converted, with defaults filled in. A name that Python reserves gets a trailing underscore.
"""

import hashlib
import json
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml
from flask import Request

from service.errors import ContractViolation, Fault, LengthMissing, UnsupportedBody
from service.http.parameters import Parameter, read_one

FILE: Final = "openapi.yaml"
METHODS: Final = ("get", "put", "post", "delete", "patch")
MAX_JSON_BYTES: Final = 1_000_000
_ROOT: Final = "unitscope:contract"


@dataclass(frozen=True)
class Operation:
    """A method of a path."""

    id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    content: dict[str, Any]
    json_body: "JsonBody | None"
    responses: dict[str, Any]
    roles: frozenset[str] | None
    """The roles that a token must have; None if no token is needed."""

    @property
    def rule(self) -> str:
        """The path as a rule of Flask. Names of layers and classes may hold a slash, sent as %2F; files too."""
        rule = re.sub(r"\{(layer|class|file)\}", r"<path:\1>", self.path)
        return re.sub(r"\{(\w+)\}", r"<\1>", rule)

    def arguments(self, request: Request, path: dict[str, str]) -> dict[str, Any]:
        """The arguments of a request.

        Raises
        ------
        ContractViolation
            With every fault.
        LengthMissing, UnsupportedBody
            The body cannot be read at all.
        """
        faults = list(self._unknown(request))
        query = request.args
        given: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.where == "header":
                continue  # its view reads it, and says what is wrong with it
            if parameter.where == "path":
                faults.extend(read_one(parameter, [path[parameter.name]], given))
            elif parameter.required or parameter.name in query:
                faults.extend(read_one(parameter, query.getlist(parameter.name), given))
            else:
                given[parameter.name] = parameter.default
        if self.content:
            check_body_headers(request, self.content)
        if self.json_body:
            given |= self._json(self.json_body, request, faults)
        if faults:
            raise ContractViolation(faults)
        return {name + "_" if keyword.iskeyword(name) else name: value for name, value in given.items()}

    @cached_property
    def _query(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters if parameter.where == "query")

    def _unknown(self, request: Request) -> Iterator[Fault]:
        known = self._query
        for name in request.args:
            if name not in known:
                there_are = f"there are {', '.join(known)}" if known else "there are none here"
                yield Fault("query", name[:100], f"is not known; {there_are}")

    @staticmethod
    def _json(body: "JsonBody", request: Request, faults: list[Fault]) -> dict[str, Any]:
        request.max_content_length = MAX_JSON_BYTES
        try:
            value = json.loads(request.get_data(cache=False), parse_constant=_refuse_constant)
            own = list(body.faults(value))
        except (ValueError, RecursionError):  # ValueError: not JSON, not UTF-8, lone surrogates, enormous numbers
            own = [Fault("body", "", "must be a JSON object in UTF-8")]
        faults.extend(own)
        return {} if own else body.typed(value)


@dataclass(frozen=True)
class JsonBody:
    """A JSON object as the body."""

    schema: dict[str, Any]
    validator: jsonschema_rs.Draft202012Validator

    def faults(self, value: Any) -> Iterator[Fault]:
        """The faults of a parsed body."""
        for error in self.validator.iter_errors(value):
            yield Fault("body", _pointer(error.instance_path), error.message[:300])

    def typed(self, value: dict[str, Any]) -> dict[str, Any]:
        """The properties of a valid body, defaults filled in."""
        typed = {}
        for name, schema in self.schema["properties"].items():
            item = value.get(name, schema.get("default"))
            # JSON Schema counts 90.0 among the integers.
            typed[name] = int(item) if schema.get("type") == "integer" and item is not None else item
        return typed


class Contract:
    """The document and its operations; nothing of it changes.

    Attributes
    ----------
    text : bytes
        openapi.yaml as it is.
    document : dict
    operations : list of Operation
    digest : str
        Changes with every change of the contract.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.document: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.digest = hashlib.sha256(text).hexdigest()
        self._registry = jsonschema_rs.Registry([(_ROOT, self.document)])
        self.operations = [
            self._operation(path, method, item)
            for path, item in self.document["paths"].items()
            for method in METHODS
            if method in item
        ]

    @classmethod
    def load(cls) -> "Contract":
        """From the installed package, or from the source tree around it."""
        packaged = resources.files("service") / FILE
        return _parsed(packaged.read_bytes() if packaged.is_file() else (Path(__file__).parents[2] / FILE).read_bytes())

    def validator(self, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
        """A validator of a schema whose references stand in the document."""
        return jsonschema_rs.Draft202012Validator(self._absolute(schema), registry=self._registry, mask="the value")

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """A node, or the node that it refers to."""
        while "$ref" in node:
            reference, node = node["$ref"], self.document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def _absolute(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._absolute(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: _ROOT + value if key == "$ref" and isinstance(value, str) else self._absolute(value)
            for key, value in node.items()
        }

    def _operation(self, path: str, method: str, item: dict[str, Any]) -> Operation:
        definition = item[method]
        parameters = [*item.get("parameters", ()), *definition.get("parameters", ())]
        content = definition.get("requestBody", {}).get("content", {})
        return Operation(
            id=definition["operationId"],
            method=method.upper(),
            path=path,
            parameters=tuple(self._parameter(self.resolve(parameter)) for parameter in parameters),
            content=content,
            json_body=self._json_body(content["application/json"]["schema"]) if "application/json" in content else None,
            responses={status: self.resolve(response) for status, response in definition["responses"].items()},
            roles=_roles(definition.get("security", self.document["security"])),
        )

    def _json_body(self, schema: dict[str, Any]) -> JsonBody:
        return JsonBody(self.resolve(schema), self.validator(schema))

    def _parameter(self, node: dict[str, Any]) -> Parameter:
        required = node.get("required", False)
        return Parameter(node["name"], node["in"], required, node["schema"], self.validator(node["schema"]))


def check_body_headers(request: Request, content: dict[str, Any]) -> None:
    """Refuse a body of a wrong type, or without a length.

    Raises
    ------
    LengthMissing, UnsupportedBody
    """
    given = request.mimetype
    if not any(given == accepted or _within(given, accepted) for accepted in content):
        raise UnsupportedBody(f"the body must be {' or '.join(content)}, not {given[:100] or 'without a type'}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedBody("the body must be sent as it is, without a Content-Encoding")
    if request.content_length is None:
        raise LengthMissing("send the body with a Content-Length")


def _roles(requirements: list[dict[str, list[str]]]) -> frozenset[str] | None:
    needed = [roles for requirement in requirements for roles in requirement.values()]
    return frozenset(needed[0]) if needed else None


def _within(given: str, accepted: str) -> bool:
    return accepted.endswith("/*") and given.startswith(accepted[:-1]) and len(given) > len(accepted) - 1


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


@lru_cache(maxsize=1)  # half a second of work, the same for every application of a process
def _parsed(text: bytes) -> Contract:
    return Contract(text)
