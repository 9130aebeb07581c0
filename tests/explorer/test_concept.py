"""Which neurons know some images, or a part of one; and what moves a neuron on a patch."""

import re
from pathlib import Path

from playwright.sync_api import expect

import indexer
from indexer.images.geometry import Box
from indexer.query.searching import concepts
from tests.explorer.conftest import LAYER, Visit


def test_neurons_that_know_chosen_images(visit: Visit, small_index: Path) -> None:
    page = visit.open("#/small/images")
    page.get_by_role("link", name="Which neurons know").click()
    expect(page.get_by_role("heading", name="Nothing chosen yet")).to_be_visible()
    for number in (2, 5):
        page.get_by_role("checkbox").nth(number).check()
    chosen = [int(number) for number in re.findall(r"\d+", page.url.partition("images=")[2])]
    with indexer.open(small_index) as index:
        assert set(chosen) >= set(index.images.id[[2, 5]].tolist())
        best = concepts.of_images(index, LAYER, index.images.id[[2, 5]].tolist(), limit=1).neurons.items[0]
    known = page.get_by_role("region", name="Neurons that know it")
    expect(known.locator(".card-line").first).to_contain_text(f"{best.neuron}AUC")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("0 images chosen.")).to_be_visible()


def test_neurons_that_know_a_part(visit: Visit, small_index: Path) -> None:
    page = visit.open("#/small/images/7")
    page.get_by_role("link", name="which neurons know a part of it?").click()
    stage = page.get_by_role("button", name=re.compile("Click a point"))
    place = stage.bounding_box()
    for share in (0.2, 0.7):
        stage.click(position={"x": share * place["width"], "y": share * place["height"]})
    expect(page.get_by_text("Click again for another part.")).to_be_visible()
    edges = [int(edge) for edge in re.findall(r"\d+", page.url.partition("box=")[2].replace("%2C", ","))[:4]]
    with indexer.open(small_index) as index:
        best = concepts.in_box(index, LAYER, 7, Box(*edges), limit=1).neurons.items[0]
    known = page.get_by_role("region", name="Neurons that know it")
    expect(known.locator(".card-line").first).to_contain_text(f"{best.neuron}AUC")


def test_what_moves_a_neuron_is_drawn_when_it_is_asked_for(visit: Visit) -> None:
    page = visit.open(f"#/small/layers/{LAYER}/neurons/3?view=saliency")
    page.get_by_role("button", name="What moves it?").first.click()
    expect(page.get_by_role("img", name=re.compile("the pixels that move it"))).to_have_count(1)
    expect(page.locator(".picture[data-is=shown] img[alt*='the pixels that move it']")).to_have_count(1)
