"""Effective fields and masks on a neuron's page."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.effective import LAYER, MODEL, NEURON, OTHER, build_effective
from tests.explorer.conftest import DESKTOP, Visit, served, visiting


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = build_effective(tmp_path_factory.mktemp("fields"))
    with served(folder, "--model", MODEL, "--results", str(folder.parent / "results")) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visiting(browser, address, **DESKTOP) as visit:
        yield visit


def test_a_switch_shows_what_matters(visit: Visit) -> None:
    page = visit.open(f"#/index/layers/{LAYER}/neurons/{NEURON}?view=patch")
    expect(page.locator(".patches .picture[data-is=shown]").first).to_be_visible()
    assert not any("field=effective" in url for url in visit.requests)
    page.get_by_role("switch", name="What matters").check()
    expect(page.get_by_text("sampled on 5 images")).to_be_visible()
    expect(page).to_have_url(re.compile("field=effective"))
    expect(page.locator(".patches .picture[data-is=shown]").first).to_be_visible()
    assert any("patch.jpg?field=effective" in url for url in visit.requests)


def test_a_layer_without_one_has_no_switch(visit: Visit) -> None:
    page = visit.open(f"#/index/layers/{OTHER}/neurons/{NEURON}?field=effective")
    expect(page.locator(".patches .picture[data-is=shown]").first).to_be_visible()
    expect(page.get_by_role("switch", name="Heat")).to_be_visible()
    expect(page.get_by_role("switch", name="What matters")).to_have_count(0)
    assert not any("field=effective" in url for url in visit.requests if "/v1/" in url)


def test_a_mask_is_drawn_when_it_is_asked_for(visit: Visit) -> None:
    pytest.importorskip("captum.attr", reason="the extra saliency is not installed")
    page = visit.open(f"#/index/layers/{LAYER}/neurons/{NEURON}")
    page.get_by_role("radio", name="mask").check()
    page.get_by_role("button", name="Mask it").first.click()
    expect(page.locator(".picture[data-is=shown] img[alt$='masked']")).to_have_count(1)
    assert sum("mask=true" in url for url in visit.requests) == 1
    page.get_by_role("radio", name="saliency").check()
    expect(page.locator("img[alt*='the pixels that move it']")).to_have_count(0)
