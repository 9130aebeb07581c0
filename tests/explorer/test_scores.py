"""Scores on the wall of a layer, and groups on a neuron's page."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import indexer
from indexer.jobs.derived.encoder_scores import keep_encoder_scores, make_encoder_scores
from indexer.jobs.derived.scores import work_out_scores
from tests.colour_encoder import Colours
from tests.explorer.conftest import DESKTOP, LAYER, Visit, served, visiting

SCORED, BY_ENCODER = "features.7", "classifier"


@pytest.fixture(scope="module")
def address(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("scores")
    own = Path(shutil.copytree(small_index, folder / "own"))
    work_out_scores(own, SCORED, LAYER, patches=6)
    with indexer.open(own) as index:
        keep_encoder_scores(
            own, index.layer(BY_ENCODER).info, make_encoder_scores(index, BY_ENCODER, Colours(), patches=4)
        )
    with served(folder / "own", "--results", str(folder / "results")) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    with visiting(browser, address, **DESKTOP) as visit:
        yield visit


def test_the_wall_is_sorted_and_bounded_by_a_score(visit: Visit) -> None:
    page = visit.open(f"#/own/layers/{SCORED}")
    expect(page.get_by_text(f"in the vectors of {LAYER}")).to_be_visible()
    page.get_by_role("combobox", name="Sort by", exact=True).select_option("polysemanticity")
    url = f"{visit.address}v1/indexes/own/layers/{SCORED}/neurons?sort=polysemanticity&order=desc"
    listed = page.request.get(url).json()["items"]
    expect(page.locator(".card b").first).to_have_text(str(listed[0]["neuron"]))
    most = listed[5]["polysemanticity"]
    page.get_by_label("to", exact=True).fill(str(most))
    page.get_by_label("to", exact=True).press("Enter")
    expect(page.locator(".card b").first).to_have_text(str(listed[5]["neuron"]))
    total = page.request.get(f"{url}&most={most}").json()["total"]
    expect(page.get_by_text(f"{total} neurons", exact=True)).to_be_visible()


def test_groups_are_rows(visit: Visit) -> None:
    url = f"{visit.address}v1/indexes/own/layers/{SCORED}/neurons?sort=polysemanticity&order=desc&limit=1"
    page = visit.open(f"#/own/layers/{SCORED}")
    (neuron,) = page.request.get(url).json()["items"]
    groups = page.request.get(f"{visit.address.rstrip('/')}{neuron['links']['groups']}").json()["groups"]
    page = visit.open(f"#/own/layers/{SCORED}/neurons/{neuron['neuron']}")
    for number, group in enumerate(groups, 1):
        row = page.get_by_role("group", name=f"Group {number}", exact=True)
        expect(row.locator("img")).to_have_count(len(group["patches"]))
    nearest = page.get_by_label("Scores").get_by_role("link")
    expect(nearest).to_have_text(str(neuron["nearest"]))


def test_a_layer_without_scores_offers_none(visit: Visit) -> None:
    page = visit.open(f"#/own/layers/{LAYER}/neurons/9")
    expect(page.locator(".alike img").first).to_be_visible()
    expect(page.get_by_label("Scores")).to_have_count(0)
    page = visit.open(f"#/own/layers/{LAYER}")
    expect(page.locator(".card b").first).to_have_text("0")
    expect(page.locator("option[value=clarity]")).to_have_count(0)


def test_scores_by_an_encoder_say_so(visit: Visit) -> None:
    page = visit.open(f"#/own/layers/{BY_ENCODER}")
    expect(page.get_by_text("in the vectors of the encoder colours (00000000). Made of generation 2")).to_be_visible()
