"""/docs: all of the contract, as a page that asks nothing of anybody."""

import re
from html.parser import HTMLParser

import pytest

from service.reference.page import STYLE, markdown
from tests.service.conforming import CONTRACT, OPERATIONS, ConformingClient

DOCUMENT = CONTRACT.document


class Page(HTMLParser):
    """Ids, links, texts and everything that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag not in ("meta", "link", "wbr"):
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.loaded += [value for name, value in attributes if name in ("src", "srcset", "data", "action")]
        self.loaded += [given["href"]] if tag == "link" else []
        assert not any(name.startswith("on") or name == "style" for name in given)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(client: ConformingClient) -> Page:
    return Page(client.get("/docs").text)


def test_it_loads_nothing_and_runs_nothing(client: ConformingClient, page: Page) -> None:
    assert page.loaded == ["data:,"]
    answer = client.get("/docs")
    assert "<script" not in answer.text
    assert answer.text.count("<style>") == 1
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert client.get("/docs", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_every_link_leads_somewhere(client: ConformingClient, page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    for link in set(page.links):
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert client.get(f"/{link}").status_code == 200


def test_it_shows_every_operation_parameter_schema_and_property(page: Page) -> None:
    assert set(OPERATIONS) <= set(page.ids)
    assert {f"schema-{name}" for name in DOCUMENT["components"]["schemas"]} <= set(page.ids)
    shown = " ".join(page.text.split())
    for operation in CONTRACT.operations:
        assert operation.path in shown
        assert all(f"{parameter.name} {parameter.where}" in shown for parameter in operation.parameters)
    for schema in DOCUMENT["components"]["schemas"].values():
        for name, node in schema.get("properties", {}).items():
            assert name in shown
            assert " ".join(re.sub(r"[`*]", "", node.get("description", "")).split()) in shown


def test_text_is_escaped() -> None:
    assert markdown("a <b> & `c<d>`\n\n- **e** *f*\n- g") == (
        "<p>a &lt;b&gt; &amp; <code>c&lt;d&gt;</code></p><ul><li><strong>e</strong> <em>f</em></li><li>g</li></ul>"
    )
