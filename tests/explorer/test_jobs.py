"""Jobs and the workbench: neurons changed, the job followed, its result read; jobs ended."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, expect

from tests.explorer.conftest import BOTH, DESKTOP, served, visiting
from tests.explorer.test_access import serious_findings
from tests.planted import build_planted, numbered, write_colours
from tests.service.slow_network import GATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    return build_planted(write_colours(folder / "photos", 1, numbered(8), noise=90), folder / "index", {0: 0.5})


@pytest.fixture(scope="module")
def gate(folder: Path) -> Path:
    """While it is there, a job that runs goes on."""
    return folder.parent / "gate"


@pytest.fixture(scope="module")
def debugging(folder: Path, gate: Path) -> Iterator[str]:
    flags = ("--model", "tests.service.slow_network:planted", "--results", str(folder.parent / "results"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(GATE, str(gate))
        with served(folder, *flags) as address:
            yield address


def test_a_job_is_followed_and_cancelled(browser: Browser, debugging: str, gate: Path) -> None:
    gate.touch()
    with visiting(browser, debugging, **DESKTOP) as visit:
        page = visit.open("#/index/what-if?layer=1&edits=1:silence")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_text("The job runs …")).to_be_visible()
        page.get_by_role("link", name="Jobs").click()
        row = page.get_by_role("row", name=re.compile("what-if 1: neuron 1 silenced"))
        expect(row).to_contain_text("running")
        row.get_by_role("button", name="Cancel").click()
        expect(row).to_contain_text("ending")
        gate.unlink()
        expect(row).to_contain_text("cancelled")
        row.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="No jobs")).to_be_visible()


@pytest.mark.parametrize("device", BOTH)
def test_neurons_are_changed_and_the_answers_with_them(
    browser: Browser, debugging: str, device: dict, gate: Path
) -> None:
    gate.unlink(missing_ok=True)
    with visiting(browser, debugging, color_scheme="dark", **device) as visit:
        page = visit.open("#/index/layers/1/neurons/0")
        page.get_by_role("link", name="What if it were silent?").click()
        expect(page.get_by_text("Neuron 0", exact=True)).to_be_visible()
        neuron = page.get_by_label("Neuron", exact=True)
        neuron.fill("2")
        neuron.press("Enter")
        page.get_by_label("What is done to neuron 2").select_option("scale")
        page.get_by_label("Value").fill("0.25")
        page.get_by_label("Value").press("Tab")
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_role("heading", name="Changed answers")).to_be_visible()
        job = re.search("job=([0-9a-f]+)", page.url)
        assert job
        with urlopen(f"{debugging}v1/jobs/{job[1]}") as answer:
            parameters = json.load(answer)["parameters"]
        with urlopen(f"{debugging}v1/jobs/{job[1]}/result") as answer:
            result = json.load(answer)
        edits = [
            {"neuron": 0, "how": "silence", "value": None}, {"neuron": 2, "how": "scale", "value": 0.25},
        ]  # fmt: skip
        assert parameters == {"layer": "1", "edits": edits, "class": None, "exact": False}
        assert result["changed"]["wrong"], "some answers turn wrong"
        expect(page.get_by_role("region", name="Accuracy")).to_contain_text(f"{result['changed']['total']} of 24")
        page.get_by_role("radio", name=f"wrong {result['changed']['wrong']}").check()
        expect(page.locator(".patch")).to_have_count(result["changed"]["wrong"])
        assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
        assert serious_findings(page) == []
        page.locator(".patch a").first.click()
        expect(page.locator(".answer")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Changed answers")).to_be_visible()
        page.get_by_role("button", name="Leave Neuron 2 as it is").click()
        expect(page.get_by_role("heading", name="Changed answers")).to_have_count(0)


def test_the_importance_of_neurons_leads_to_what_ifs(browser: Browser, debugging: str, gate: Path) -> None:
    gate.unlink(missing_ok=True)
    with visiting(browser, debugging, **DESKTOP) as visit:
        page = visit.open("#/index/importance?layer=1")
        expect(page.get_by_role("heading", name="Not measured yet")).to_be_visible()
        visit.expect_error("404")
        page.get_by_role("button", name="Measure").click()
        table = page.get_by_role("region", name="Importance of neurons")
        expect(table.get_by_role("row")).to_have_count(7)
        assert serious_findings(page) == []
        table.get_by_role("link", name="what if").first.click()
        expect(page.locator(".edit")).to_have_count(1)
