"""JSON Schemas in words, as HTML."""

import json
from collections.abc import Callable, Iterator
from html import escape as e
from typing import Any, Final

Json = dict[str, Any]
_BOUNDS: Final = {
    "minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "minLength": "at least {} characters",
    "maxLength": "at most {} characters", "minItems": "at least {} items", "maxItems": "at most {} items",
    "minProperties": "at least {} of them", "maxProperties": "at most {} of them", "pattern": "matching {}",
    "format": "{}", "contentMediaType": "{}", "default": "by default {}",
}  # fmt: skip


def type_html(schema: Json) -> str:
    """A schema in a line."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{e(name)}">{e(name)}</a>'
    if "x-wanted" in schema:
        return e(schema["x-wanted"])
    for join, word in (("allOf", " with "), ("anyOf", " or "), ("oneOf", " or ")):
        if join in schema:
            return word.join(filter(None, map(type_html, schema[join])))
    if "const" in schema:
        return f"<code>{e(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        chosen = ", ".join(f"<code>{e(str(value))}</code>" for value in schema["enum"])
        return ", ".join([f"one of {chosen}", *_bounds(schema)])
    return ", ".join(filter(None, [_kind(schema), *_bounds(schema)]))


def schema_html(schema: Json, markdown: Callable[[str], str]) -> str:
    """The properties of a schema, those of its parts included."""
    rows = "".join(_property(name, node, schema, markdown) for name, node in schema.get("properties", {}).items())
    inner = [*schema.get("allOf", ()), *([schema["items"]] if isinstance(schema.get("items"), dict) else [])]
    return (f"<dl>{rows}</dl>" if rows else "") + "".join(schema_html(part, markdown) for part in inner)


def _property(name: str, node: Json, parent: Json, markdown: Callable[[str], str]) -> str:
    optional = "" if name in parent.get("required", ()) else " <i>optional</i>"
    described = markdown(node["description"]) if "description" in node else ""
    head = f"<dt><code>{e(name)}</code> <small>{type_html(node)}{optional}</small></dt>"
    return f"{head}<dd>{described}{schema_html(node, markdown)}</dd>"


def _kind(schema: Json) -> str:
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_named(kind, schema) for kind in kinds)


def _named(kind: str, schema: Json) -> str:
    if kind == "array" and "items" in schema:
        return f"list of {type_html(schema['items']) or 'anything'}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_html(schema['additionalProperties']) or 'anything'}"
    return {"array": "list", "string": "text"}.get(kind, kind)


def _bounds(schema: Json) -> Iterator[str]:
    for name, words in _BOUNDS.items():
        if name in schema:
            value = schema[name]
            yield words.format(f"<code>{e(value if isinstance(value, str) else json.dumps(value))}</code>")
