"""The atlas of a layer's neurons: drawn, hovered over, clicked, selected; and the way to it from that of cells."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.atlas import LAYER, build_neuron_atlas
from tests.explorer.conftest import DESKTOP, Visit, served, visiting
from tests.explorer.test_access import serious_findings
from tests.explorer.test_atlas import colourful, drawn

ATLAS = f"#/index/layers/{LAYER}/neuron-atlas"


@pytest.fixture(scope="module")
def address(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(build_neuron_atlas(small_index, tmp_path_factory.mktemp("neuron atlas"))) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visiting(browser, address, **DESKTOP) as visit:
        visit.provoked.append("GPU stall due to ReadPixels")  # by a screenshot of what WebGL drew
        yield visit


def test_from_cells_to_neurons_and_what_is_selected(visit: Visit) -> None:
    page = visit.open(f"#/index/layers/{LAYER}/atlas")
    expect(page.get_by_text("has no atlas yet")).to_be_visible()
    visit.expect_error("404")
    page.get_by_role("radio", name="neurons").check()
    expect(page.get_by_text(re.compile(r"\d+ neurons; those lie together whose peaks are high"))).to_be_visible()
    expect(page.locator(".atlas-patches img").first).to_be_visible()
    assert serious_findings(page) == []
    link = page.locator(".atlas-patches a").first.get_attribute("href")
    assert re.fullmatch(rf"#/index/layers/{LAYER}/neurons/\d+", link)
    page.get_by_role("switch", name="Patches").uncheck()
    assert colourful(drawn(page)) > 200
    page.get_by_role("button", name="Select what is shown").click()
    expect(page.get_by_role("heading", name=re.compile(r"^\d+ neurons$"))).to_be_visible()
    expect(page.locator(".alike img").first).to_be_visible()


def test_a_neuron_is_shown_under_the_pointer_and_a_click_leads_to_it(visit: Visit) -> None:
    page = visit.open(f"{ATLAS}?patches=off")
    canvas = page.locator(".atlas canvas")
    expect(canvas).to_be_visible()
    url = f"{visit.address}v1/indexes/index/layers/{LAYER}/neuron-atlas/patches?left=0.2&top=0&right=0.8&bottom=1"
    point = page.request.get(f"{url}&columns=1&rows=1").json()["items"][0]
    box = canvas.bounding_box()
    x, y = ((point[axis] + 0.02) / 1.04 for axis in "xy")
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    expect(page.locator(".atlas-under")).to_contain_text(f"neuron {point['neuron']}")
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"neurons/{point['neuron']}$"))
