"""The Grafana dashboard, against the live service: every query is sent, every selector evaluated."""

import http.client
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from jsonata import Jsonata
from PIL import Image

import indexer
from service.settings import Settings
from tests.service.listening import running

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana" / "unitscope-explorer.json").read_text())
VARIABLES = DASHBOARD["templating"]["list"]
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
QUERIES = {title: target for title, panel in PANELS.items() for target in panel.get("targets", [])}
TEXTS = {title: panel["options"]["content"] for title, panel in PANELS.items() if panel["type"] == "text"}
SOURCE = "yesoreyeram-infinity-datasource"
TYPES = {"number": (int, float), "string": str, "boolean": bool}
GRAFANA = "http://grafana.example:3000"


@pytest.fixture(scope="module")
def values(small_index: Path) -> Iterator[dict[str, str]]:
    """What the dashboard's variables stand for, while a service listens on a socket."""
    with running(Settings(directory=small_index, origins=(GRAFANA,))) as ((host, port), _):
        chosen = {"source": "uid", "index": "small", "layer": "features.12", "class": "boats", "neurons": "7,8"}
        with indexer.open(small_index) as index:
            lively = index.neuron_statistics("features.12")["positive_images"].argmax()
        yield {**chosen, "api": f"http://{host}:{port}", "neuron": str(lively)}


def filled(text: str, values: dict[str, str]) -> str:
    """The text with its variables replaced; fails on one that the dashboard does not have."""

    def value(match: re.Match[str]) -> str:
        return quote(values[match[1]], safe="") if match[2] else values[match[1]]

    return re.sub(r"\$\{(\w+)(:percentencode)?\}", value, text)


def get(url: str) -> tuple[http.client.HTTPResponse, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Origin": GRAFANA})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, (url, body[:300])
    return response, body


def rows_of(target: dict[str, Any], values: dict[str, str]) -> list[dict[str, Any]]:
    _, body = get(filled(target["url"], values))
    found = Jsonata(filled(target["root_selector"], values)).evaluate(json.loads(body))
    assert isinstance(found, list)
    return [dict(row) for row in found]


def test_variables_are_those_that_are_used(values: dict[str, str]) -> None:
    names = {variable["name"] for variable in VARIABLES}
    assert names == values.keys()
    text = json.dumps(DASHBOARD)
    assert set(re.findall(r"\$\{(\w+)[}:]", text)) - {"__value"} == names
    for variable in VARIABLES:
        if variable["type"] == "query":
            target = variable["query"]["infinityQuery"]
            [column] = target["columns"]
            found = [row[column["selector"]] for row in rows_of(target, values)]
            assert values[variable["name"]] in found


def test_queries_ask_the_data_source_that_the_reader_chooses() -> None:
    assert len(QUERIES) >= 8
    for target in QUERIES.values():
        assert target["datasource"] == {"type": SOURCE, "uid": "${source}"}
        assert (target["type"], target["parser"], target["source"], target["format"]) == (
            "json", "backend", "url", "table",
        )  # fmt: skip


@pytest.mark.parametrize("title", QUERIES)
def test_a_panel_gets_rows_with_its_columns(title: str, values: dict[str, str]) -> None:
    target = QUERIES[title]
    rows = rows_of(target, values)
    assert rows
    for column in target["columns"]:
        found = [row[column["selector"]] for row in rows]
        known = [value for value in found if value is not None]
        assert known, f"nothing under {column['selector']}"
        assert all(isinstance(value, TYPES[column["type"]]) for value in known)
    shown = {column["text"] for column in target["columns"]}
    styled = {override["matcher"]["options"] for override in PANELS[title]["fieldConfig"]["overrides"]}
    assert styled <= shown
    assert PANELS[title]["options"].get("xField", next(iter(shown))) in shown


def test_the_patch_wall_shows_pictures(values: dict[str, str]) -> None:
    """Those of the table, and the sheets of the panels of text: pages of Grafana's origin may show them."""
    [table] = [title for title, target in QUERIES.items() if "/patches" in target["url"]]
    first, last = (rows_of(QUERIES[table], values)[place] for place in (0, -1))
    urls = [first["patch"], first["heat"], last["patch"]]
    for text in TEXTS.values():
        urls += [url.replace("&amp;", "&") for url in re.findall(r'src="([^"]+)"', filled(text, values))]
    assert len(urls) == 3 + len(TEXTS) == 5
    for url in urls:
        assert url.startswith(values["api"])
        response, body = get(url)
        assert response.getheader("Cross-Origin-Resource-Policy") == "cross-origin"
        with Image.open(io.BytesIO(body)) as picture:
            assert response.getheader("Content-Type") == Image.MIME[picture.format or ""]


def test_links_come_back_to_the_dashboard() -> None:
    links = re.findall(r'"url": "(/d/[^"]+)"', json.dumps(DASHBOARD))
    assert links
    for link in links:
        path, query = link.split("?")
        assert path == f"/d/{DASHBOARD['uid']}"
        names = {part.split("=")[0].removeprefix("var-") for part in query.split("&")}
        assert names == {variable["name"] for variable in VARIABLES}
