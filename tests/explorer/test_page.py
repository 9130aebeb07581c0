"""The page that ``python -m indexer page`` writes, as a browser shows it: from a file, and all of it from that file."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from indexer.cli import main
from tests.explorer.conftest import DESKTOP, PHONE


@pytest.fixture(scope="module")
def page(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page") / "handed on.html"
    assert main(["page", str(small_index), "--neurons", "3", "--columns", "5", "--out", str(out)]) == 0
    return out.as_uri()


@pytest.mark.parametrize(("device", "scheme"), [(DESKTOP, "light"), (DESKTOP, "dark"), (PHONE, "dark")])
def test_it_opens_without_a_server(browser: Browser, page: str, device: dict, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, **device)
    tab = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(page)
    pictures = tab.locator(".patches img")
    assert pictures.count() > 20
    assert pictures.evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
    assert [url for url in asked if not url.startswith("data:")] == [page]
    assert said == []
    found = Axe().run(tab).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    context.close()
