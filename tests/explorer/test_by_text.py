"""Neurons that fire for what a text says, on the wall of a layer."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from indexer.cli import main
from tests.explorer.conftest import DESKTOP, LAYER, Visit, served, visiting

ENCODER = "tests.colour_encoder:AnyWord"
OTHER = "features.7"


@pytest.fixture(scope="module")
def address(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("by text")
    own = Path(shutil.copytree(small_index, folder / "own"))
    assert main(["patch-vectors", str(own), "--layer", LAYER, "--encoder", ENCODER, "--patches", "4"]) == 0
    with served(own, "--results", str(folder / "results"), "--encoder", ENCODER) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visiting(browser, address, **DESKTOP) as visit:
        yield visit


def test_a_text_finds_neurons_and_leads_back_to_all(visit: Visit) -> None:
    page = visit.open(f"#/own/layers/{LAYER}")
    page.get_by_label("Fires for").fill("green")
    page.get_by_label("Fires for").press("Enter")
    cards = page.get_by_role("list", name="that fire for “green”").locator(".card b")
    expect(cards).to_have_count(48)  # the first text loads the encoder, and torch with it
    url = f"{visit.address}v1/indexes/own/layers/{LAYER}/fires-for?text=green&limit=48"
    found = page.request.get(url).json()
    assert cards.all_inner_texts() == [str(item["neuron"]) for item in found["items"]]
    expect(page.get_by_text(f"{found['mean']:.3f} on average")).to_be_visible()
    page.get_by_role("button", name="All neurons").click()
    expect(page.locator(".card b").first).to_have_text("0")


def test_a_layer_without_vectors_offers_none(visit: Visit) -> None:
    page = visit.open(f"#/own/layers/{OTHER}")
    expect(page.locator(".card b").first).to_have_text("0")
    expect(page.get_by_label("Fires for")).to_have_count(0)
