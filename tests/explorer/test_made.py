"""The image made for a neuron, beside its patches: made on demand, and shown when it is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.explorer.conftest import DESKTOP, PHONE, served, visiting
from tests.explorer.test_access import serious_findings
from tests.planted import build_planted, numbered, write_colours
from tests.service.jobs import MODEL


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("made")
    index = build_planted(write_colours(folder / "photos", 1, numbered(3), noise=90), folder / "index")
    with served(index, "--model", MODEL, "--results", str(folder / "results")) as address:
        yield address


def test_an_image_is_made_and_stays(browser: Browser, address: str) -> None:
    with visiting(browser, address, **DESKTOP) as visit:
        page = visit.open("#/index/layers/1/neurons/2")
        made = page.get_by_role("region", name="Made image")
        made.get_by_role("button", name="Make it").click()
        expect(made.get_by_role("img", name="Image made for neuron 2")).to_be_visible(timeout=60_000)
        expect(made).to_contain_text("over the highest image")
        expect(made).to_contain_text("fourier, 256 steps, seed 0")
    with visiting(browser, address, **PHONE) as visit:
        page = visit.open("#/index/layers/1/neurons/2")
        expect(page.get_by_role("img", name="Image made for neuron 2")).to_be_visible()
        assert serious_findings(page) == []
        visit.open("#/jobs")
        page.get_by_role("link", name="make").click()
        expect(page.get_by_role("heading", name="Neuron 2")).to_be_visible()


def test_an_image_is_fooled_and_the_slider_shows_more_of_either(browser: Browser, address: str) -> None:
    with visiting(browser, address, **DESKTOP) as visit:
        page = visit.open("#/index/images/0")
        page.get_by_role("button", name="Fool the network").click()
        fooled = page.get_by_role("region", name="Fooled")
        expect(fooled.get_by_role("heading", name="Neurons that turned")).to_be_visible(timeout=60_000)
        expect(fooled.get_by_role("img", name="After")).to_be_visible()
        fooled.get_by_role("slider").fill("20")
        expect(fooled.locator(".before-after-over")).to_have_css("clip-path", "inset(0px 0px 0px 20%)")
        assert serious_findings(page) == []
        page.reload()
        expect(page.get_by_role("heading", name="Neurons that turned")).to_be_visible()
