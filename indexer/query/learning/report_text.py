"""A report as Markdown or as an HTML page.

A part of the report that carries ``links``, as the service adds them, is linked.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

Json = dict[str, Any]
Cell = tuple[str, str | None]
"""A text and where it links to."""

_STATES = ("dead", "dense", "selective", "mixed", "unknown")
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #ccc;"
    "text-align:right}td:first-child,th:first-child{text-align:left}h2{margin-top:2rem}"
)


def to_markdown(report: Json) -> str:
    """The report as Markdown (GitHub's tables)."""
    parts = [f"# {_md(_title(report))}", _md(_subtitle(report))]
    parts += ["\n".join(f"- {_md(sentence)}" for sentence in report["findings"])]
    for heading, header, rows in _tables(report):
        lines = [f"| {' | '.join(header)} |", "| " + " | ".join(["---", *["---:"] * (len(header) - 1)]) + " |"]
        lines += [f"| {' | '.join(_md_cell(cell) for cell in row)} |" for row in rows]
        parts += [f"## {_md(heading)}", "\n".join(lines)]
    parts += ["\n".join(f"- *{name}*: {_md(text)}" for name, text in report["states"].items())]
    return "\n\n".join(parts) + "\n"


def to_html(report: Json) -> str:
    """The report as a page of its own, without scripts."""
    return _template().render(
        report=report, title=_title(report), subtitle=_subtitle(report), tables=_tables(report), style=STYLE
    )


@functools.cache
def _template() -> "jinja2.Template":
    import jinja2  # here, because Markdown is written without it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("indexer.query.learning", "."), autoescape=True,
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template("report.html")


WRITERS: dict[str, tuple[str, Callable[[Json], str]]] = {
    "markdown": ("text/markdown", to_markdown),
    "html": ("text/html", to_html),
}
"""Media type and writer by format."""


def _title(report: Json) -> str:
    return f"What {report['index']} has learned"


def _subtitle(report: Json) -> str:
    return (
        f"{report['model']}, generation {report['generation']}: {report['images']} images of {report['classes']} "
        "classes."
    )


def _tables(report: Json) -> list[tuple[str, Sequence[str], list[list[Cell]]]]:
    tables: list[tuple[str, Sequence[str], list[list[Cell]]]]
    tables = [("Neurons by layer", ["Layer", "Neurons", *_STATES, "Mean best AUC", "Uncovered classes"],
               [_layer_row(layer) for layer in report["layers"]])]  # fmt: skip
    if report["hints"]:
        tables.append(("Hints at a shortcut", ["Hint", "Neuron"], [_hint_row(hint) for hint in report["hints"]]))
    for layer in report["layers"]:
        if layer["classes"] is None:
            continue
        least = layer["classes"]["least_covered"]
        header = ["Class", "Images", "Own neuron", "Its AUC", "Best of all", f"Neurons of AUC ≥ {report['auc']:g}"]
        tables.append((f"{layer['layer']}: least covered classes", header, [_class_row(one) for one in least]))
        alike = layer["classes"]["most_alike"]
        tables.append((f"{layer['layer']}: classes most alike", ["Class", "Class", "Cosine"], _pair_rows(alike)))
    if report["confusion"] is not None and report["confusion"]["most_confused"]:
        header = ["Class", "Answered as", "Images", "Of the class"]
        confused = [_confused_row(row) for row in report["confusion"]["most_confused"]]
        tables.append(("Most confused by the network", header, confused))
    return tables


def _layer_row(layer: Json) -> list[Cell]:
    links, about = layer.get("links", {}), layer["classes"]
    states = [(str(layer[state]), links.get(state) if layer[state] else None) for state in _STATES]
    auc = "–" if layer["mean_best_auc"] is None else f"{layer['mean_best_auc']:.3f}"
    uncovered = ("–" if about is None else str(about["uncovered"]), links.get("classes"))
    return [(layer["layer"], links.get("self")), (str(layer["neurons"]), links.get("neurons")), *states, (auc, None),
            uncovered]  # fmt: skip


def _hint_row(hint: Json) -> list[Cell]:
    return [(hint["text"], None), (str(hint["neuron"]), hint.get("links", {}).get("patches"))]


def _class_row(one: Json) -> list[Cell]:
    links = one.get("links", {})
    own: list[Cell] = [("–", None), ("–", None)]
    if one["own_neuron"] is not None:
        own = [(str(one["own_neuron"]), links.get("patches")), (f"{one['own_auc']:.3f}", None)]
    return [
        (one["class"], links.get("class")),
        (str(one["images"]), links.get("images")),
        *own,
        (f"{one['best_auc']:.3f}", None),
        (str(one["neurons_above"]), None),
    ]


def _pair_rows(pairs: list[Json]) -> list[list[Cell]]:
    return [
        [(one["a"], one.get("links", {}).get("a")), (one["b"], one.get("links", {}).get("b")),
         (f"{one['likeness']:.2f}", one.get("links", {}).get("pair"))]
        for one in pairs
    ]  # fmt: skip


def _confused_row(row: Json) -> list[Cell]:
    images = (str(row["images"]), row.get("links", {}).get("mistakes"))
    return [(row["class"], None), (row["answered"], None), images, (f"{row['share']:.1%}", None)]


def _md_cell(cell: Cell) -> str:
    text, link = cell
    return _md(text) if link is None else f"[{_md(text)}](<{link}>)"


def _md(text: str) -> str:
    """Text that Markdown shows as it is."""
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join("\\" + c if c in r"\`*_[]<>|#~" else c for c in printable)
