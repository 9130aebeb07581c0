"""openapi.yaml as a page for people: one HTML document without scripts that asks nothing of any host.

``page(contract)`` writes it. What it shows is only what the document says; nothing is written here twice.
"""

import json
import re
from collections.abc import Iterator
from html import escape as e
from importlib import resources
from typing import Any, Final

from service.contract import METHODS, Contract
from service.reference_schema import schema_html, type_html

STYLE: Final = (resources.files(__package__) / "reference.css").read_text("utf-8")
"""The text of the page's one style element."""
_INLINE: Final = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*([^*]+)\*(?![\w*])"), r"<em>\1</em>"),
)


def page(contract: Contract) -> str:
    """The page, in HTML."""
    document = contract.document
    info = document["info"]
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{e(info["title"])} API</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>',
        f"<header><h1>{e(info['title'])} <small>API {e(info['version'])}</small></h1>{markdown(info['summary'])}",
        '<p><a href="openapi.yaml">openapi.yaml</a></p></header>',
        *_contents(document),
        "<main>",
        f'<section id="about"><h2>About</h2>{markdown(info["description"])}</section>',
        *_tags(contract),
        *_security(document),
        *_schemas(document),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def markdown(text: str) -> str:
    """The part of Markdown that the document uses: paragraphs, lists, code, bold and emphasis."""
    return "".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()))


def _block(block: str) -> str:
    lead, *items = re.split(r"(?:^|\n)\s*- ", block)
    listed = "".join(f"<li>{_inline(item)}</li>" for item in items)
    return (f"<p>{_inline(lead)}</p>" if lead.strip() else "") + (f"<ul>{listed}</ul>" if listed else "")


def _inline(text: str) -> str:
    text = e(" ".join(text.split()), quote=False)
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text


def _operations(document: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item and tag in item[method]["tags"]:
                shared = item.get("parameters", [])
                own = item[method].get("parameters", [])
                yield path, method, item[method] | {"parameters": [*shared, *own]}


def _contents(document: dict[str, Any]) -> Iterator[str]:
    yield '<nav aria-label="Contents"><details open><summary>Contents</summary><ul>'
    yield '<li><a href="#about">About</a></li>'
    for tag in document["tags"]:
        yield f'<li><a href="#tag-{e(tag["name"])}">{e(tag["name"])}</a><ul>'
        for _, _, operation in _operations(document, tag["name"]):
            yield f'<li><a href="#{e(operation["operationId"])}">{e(operation["summary"])}</a></li>'
        yield "</ul></li>"
    yield '<li><a href="#tokens">tokens</a></li><li><a href="#schemas">schemas</a></li></ul></details></nav>'


def _tags(contract: Contract) -> Iterator[str]:
    for tag in contract.document["tags"]:
        yield f'<section id="tag-{e(tag["name"])}"><h2>{e(tag["name"])}</h2>{markdown(tag["description"])}'
        for path, method, operation in _operations(contract.document, tag["name"]):
            yield from _operation(contract, path, method, operation)
        yield "</section>"


def _operation(contract: Contract, path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    breakable = e(path).replace("/", "<wbr>/")
    yield f'<article id="{e(operation["operationId"])}"><h3>{e(operation["summary"])}</h3>'
    yield f'<p class="route"><b class="{method}">{method.upper()}</b> <code>{breakable}</code></p>'
    yield markdown(operation["description"])
    parameters = [contract.resolve(node) for node in operation["parameters"]]
    if parameters:
        yield "<h4>Parameters</h4><dl>"
        yield from map(_parameter, parameters)
        yield "</dl>"
    if "requestBody" in operation:
        yield f"<h4>Body</h4>{markdown(operation['requestBody']['description'])}"
        yield from _content(operation["requestBody"]["content"])
    yield "<h4>Responses</h4>"
    for status, node in operation["responses"].items():
        yield from _response(contract, status, contract.resolve(node))
    yield "</article>"


def _parameter(node: dict[str, Any]) -> str:
    required = " <i>required</i>" if node.get("required") else ""
    head = f"<code>{e(node['name'])}</code> <small>{e(node['in'])}{required}</small>"
    example = f" Example: <code>{e(_plain(node['example']))}</code>"
    return f"<dt>{head}</dt><dd>{markdown(node['description'])}<p>{type_html(node['schema'])}.{example}</p></dd>"


def _response(contract: Contract, status: str, node: dict[str, Any]) -> Iterator[str]:
    kind = "good" if status[0] in "23" else "bad"
    told = f'<b class="{kind}">{e(status)}</b> {_inline(node["description"])}'
    yield f'<details class="response"><summary>{told}</summary>'
    headers = {name: contract.resolve(header) for name, header in node.get("headers", {}).items()}
    if headers:
        yield "<dl>"
        for name, header in headers.items():
            yield f"<dt><code>{e(name)}</code> <small>header</small></dt><dd>{markdown(header['description'])}</dd>"
        yield "</dl>"
    yield from _content(node.get("content", {}))
    yield "</details>"


def _content(content: dict[str, Any]) -> Iterator[str]:
    for media_type, node in content.items():
        schema = node.get("schema", {})
        yield f"<p><code>{e(media_type)}</code> {type_html(schema)}</p>"
        if "properties" in schema:
            yield schema_html(schema, markdown)
        if "example" in node:
            example = node["example"]
            text = example if isinstance(example, str) else json.dumps(example, indent=1, ensure_ascii=False)
            yield f"<pre><code>{e(text)}</code></pre>"


def _security(document: dict[str, Any]) -> Iterator[str]:
    yield '<section id="tokens"><h2>tokens</h2>'
    for scheme in document["components"]["securitySchemes"].values():
        yield f"<p><code>Authorization: Bearer TOKEN</code></p>{markdown(scheme['description'])}"
    yield "</section>"


def _schemas(document: dict[str, Any]) -> Iterator[str]:
    yield '<section id="schemas"><h2>schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<article id="schema-{e(name)}"><h3>{e(name)}</h3>{markdown(schema["description"])}'
        yield f"<p>{type_html(schema)}</p>{schema_html(schema, markdown)}</article>"
    yield "</section>"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
