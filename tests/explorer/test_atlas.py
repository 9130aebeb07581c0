"""The atlas of a layer: points are drawn, moved over and selected; what was selected is compared and kept."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.atlas import LAYER, build_atlas
from tests.explorer.conftest import DESKTOP, PHONE, Visit, served, visiting
from tests.explorer.test_access import serious_findings

ATLAS = f"#/index/layers/{LAYER}/atlas"


@pytest.fixture(scope="module")
def address(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("atlas")
    own = build_atlas(small_index, folder, points=200, fitted=150)
    with served(own, "--notes", str(folder / "notes")) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visiting(browser, address, **DESKTOP) as visit:
        visit.provoked.append("GPU stall due to ReadPixels")  # by a screenshot of what WebGL drew
        yield visit


def drawn(page: Page) -> np.ndarray:
    """The canvas's pixels (H, W, 4)."""
    with Image.open(io.BytesIO(page.locator(".atlas canvas").screenshot())) as picture:
        return np.asarray(picture.convert("RGBA"))


def colourful(pixels: np.ndarray) -> int:
    """How many pixels are far from grey."""
    colours = pixels[:, :, :3].astype(int)
    return int((colours.max(axis=2) - colours.min(axis=2) > 60).sum())


def test_points_are_drawn_and_a_selection_becomes_a_direction(visit: Visit) -> None:
    page = visit.open(f"#/index/layers/{LAYER}")
    page.get_by_role("link", name="atlas").click()
    expect(page.get_by_text("200 cells of")).to_be_visible()
    page.get_by_role("switch", name="Patches").uncheck()
    expect(page.locator(".atlas-patches")).to_have_count(0)
    assert colourful(drawn(page)) > 500
    expect(page.locator(".atlas canvas")).to_have_attribute("data-drawn", "200")
    assert serious_findings(page) == []
    page.get_by_role("radio", name="selects").check()
    box = page.locator(".atlas canvas").bounding_box()
    corners = [(0.05, 0.05), (0.6, 0.05), (0.6, 0.6), (0.05, 0.6)]
    for number, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
        if not number:
            page.mouse.down()
    page.mouse.up()
    expect(page.get_by_role("heading", name=re.compile(r"\d+ cells of \d+ images"))).to_be_visible()
    expect(page).to_have_url(re.compile("polygon="))
    expect(page.get_by_role("list", name="Patches along it").locator("img").first).to_be_visible()
    page.get_by_label("Name of the direction").fill("bright corners")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Kept as bright corners")).to_be_visible()


def test_keys_move_it_and_a_link_shows_the_same_part(visit: Visit) -> None:
    page = visit.open(f"{ATLAS}?patches=off")
    canvas = page.locator(".atlas canvas")
    expect(canvas).to_be_visible()
    before = drawn(page)
    canvas.focus()
    for key in ("+", "+", "ArrowRight"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("view="))
    after = drawn(page)
    assert not np.array_equal(before, after)
    with_link = visit.open(page.url[page.url.index("#") :])
    expect(with_link.get_by_role("button", name="Whole")).to_be_visible()
    assert np.abs(drawn(with_link).astype(int) - after).mean() < 2


def test_a_layer_without_one_says_what_makes_it(visit: Visit) -> None:
    page = visit.open("#/index/layers/features.12/atlas")
    expect(page.get_by_text("python -m indexer atlas INDEX --layer features.12 makes it")).to_be_visible()
    visit.expect_error("404")


def test_fits_a_phone_with_patches(browser: Browser, address: str) -> None:
    with visiting(browser, address, **PHONE) as visit:
        visit.provoked.append("GPU stall due to ReadPixels")
        page = visit.open(ATLAS)
        expect(page.locator(".atlas-patches img").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]
        assert serious_findings(page) == []
