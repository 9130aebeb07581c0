"""openapi.yaml as a page for people: one HTML document without scripts that asks nothing of any host.

``page(contract)`` writes it, by the template ``reference.html``. It shows only what the document says;
nothing is written twice.
"""

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup, escape

from service.http.contract import METHODS, Contract

Json = dict[str, Any]
STYLE: Final = (resources.files(__package__) / "reference.css").read_text("utf-8")
"""The text of the page's one style element."""
_INLINE: Final = (
    (re.compile(r"`([^`]+)`"), r"<code>\1</code>"),
    (re.compile(r"\*\*([^*]+)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*([^*]+)\*(?![\w*])"), r"<em>\1</em>"),
)
_BOUNDS: Final = {
    "minimum": "from {}", "exclusiveMinimum": "above {}", "maximum": "to {}", "minLength": "at least {} characters",
    "maxLength": "at most {} characters", "minItems": "at least {} items", "maxItems": "at most {} items",
    "minProperties": "at least {} of them", "maxProperties": "at most {} of them", "pattern": "matching {}",
    "format": "{}", "contentMediaType": "{}", "default": "by default {}",
}  # fmt: skip


def page(contract: Contract) -> str:
    """The page, in HTML."""
    document = contract.document
    return _template(contract).render(
        info=document["info"],
        components=document["components"],
        tags=[(tag, list(_operations(document, tag["name"]))) for tag in document["tags"]],
        style=STYLE,
        bounds=_bounds,
        parts=_parts,
    )


def _template(contract: Contract) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("service.reference", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {
        "markdown": markdown, "inline": _inline, "resolve": contract.resolve, "json": json.dumps, "plain": _plain,
        "indented": _indented, "last_part": lambda reference: reference.rpartition("/")[2],
        "breakable": lambda path: Markup("<wbr>/").join(escape(part) for part in path.split("/")),
    }  # fmt: skip
    return environment.get_template("reference.html")


def markdown(text: str) -> Markup:
    """The part of Markdown that the document uses: paragraphs, lists, code, bold and emphasis."""
    return Markup("").join(_block(block) for block in re.split(r"\n\s*\n", text.strip()))


def _block(block: str) -> Markup:
    lead, *items = re.split(r"(?:^|\n)\s*- ", block)
    listed = Markup("").join(Markup("<li>{}</li>").format(_inline(item)) for item in items)
    paragraph = Markup("<p>{}</p>").format(_inline(lead)) if lead.strip() else Markup("")
    return paragraph + (Markup("<ul>{}</ul>").format(listed) if listed else Markup(""))


def _inline(text: str) -> Markup:
    escaped = str(escape(" ".join(text.split())))
    for pattern, replacement in _INLINE:
        escaped = pattern.sub(replacement, escaped)
    return Markup(escaped)


def _operations(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item and tag in item[method]["tags"]:
                shared = item.get("parameters", [])
                own = item[method].get("parameters", [])
                yield path, method, item[method] | {"parameters": [*shared, *own]}


def _bounds(schema: Json) -> Iterator[tuple[str, Any, str]]:
    """The words before a bound of a schema, the bound, and the words after it."""
    for name, words in _BOUNDS.items():
        if name in schema:
            before, _, after = words.partition("{}")
            yield before, schema[name], after


def _parts(schema: Json) -> list[Json]:
    """The schemas whose properties are a schema's too, or its items'."""
    items = schema.get("items")
    return [*schema.get("allOf", ()), *([items] if isinstance(items, dict) else [])]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _indented(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
