"""From the confusion matrix to the images behind a figure, and to one image's answer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import indexer
from indexer.query.learning.answering.confusion import confusion
from tests.explorer.conftest import BOTH, DESKTOP, Visit, served, visiting
from tests.explorer.test_access import serious_findings
from tests.planted import build_planted, numbered, write_colours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes")
    return build_planted(write_colours(folder / "photos", 1, numbered(8), noise=90), folder / "index", {0: 0.5})


@pytest.fixture(scope="module")
def answering(folder: Path) -> Iterator[str]:
    """Where an index is served whose network answers with classes, and errs."""
    with served(folder, "--model", "tests.own_models:planted") as address:
        yield address


@pytest.mark.parametrize("device", BOTH)
def test_a_confused_pair_leads_to_its_images_and_their_answers(
    browser: Browser, answering: str, folder: Path, device: dict
) -> None:
    with indexer.open(folder) as index:
        worst = confusion(index).confused()[0]
    with visiting(browser, answering, **device) as visit:
        page = visit.open("#/index/classes?what=confusion")
        table = page.get_by_role("region", name="Confusion in numbers")
        expect(table.get_by_role("link", name=str(worst.images), exact=True).first).to_be_visible()
        page.get_by_role("link", name=re.compile(f"^{worst.images} images?,")).first.click()
        expect(page.get_by_role("heading", name=f"answered as {worst.answered}")).to_be_visible()
        expect(page.locator(".patch")).to_have_count(worst.images)
        expect(page.locator(".patch-class").first).to_have_text(f"{worst.class_} → {worst.answered}")
        page.get_by_role("combobox", name="Answered as").select_option("")
        expect(page.get_by_role("heading", name="Mistakes")).not_to_contain_text("answered as")
        assert serious_findings(page) == []
        page.locator(".patch a").first.click()
        expect(page.locator(".answer")).to_contain_text("not its class (rank ")


@pytest.mark.parametrize("device", BOTH)
def test_a_cell_of_the_matrix_leads_to_why(browser: Browser, answering: str, folder: Path, device: dict) -> None:
    with indexer.open(folder) as index:
        worst = confusion(index).confused()[0]
    with visiting(browser, answering, **device) as visit:
        page = visit.open(f"#/index/classes?what=confusion&a={worst.class_}&b={worst.answered}")
        page.get_by_role("link", name="why?", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text(
            f"images of {worst.class_} answered as {worst.answered}"
        )
        page.get_by_role("button", name="Explain").click()
        expect(page.get_by_role("heading", name="Pushed it up")).to_be_visible()
        expect(page.get_by_text(f"{worst.answered} less {worst.class_}: ")).to_be_visible()
        expect(page.get_by_role("link", name="pushed most were silent")).to_be_visible()
        page.locator(".firing").first.get_by_role("link", name="Neuron").first.click()
        expect(page.locator(".patch").first).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Pushed it down")).to_be_visible()


def test_where_nothing_is_wrong_the_view_says_so(browser: Browser, answering: str) -> None:
    with visiting(browser, answering, **DESKTOP) as visit:
        page = visit.open("#/index/mistakes?class=0&answered=0")
        expect(page.get_by_role("heading", name="No mistakes")).to_be_visible()
        expect(page.get_by_role("region", name="Classes").get_by_role("row")).to_have_count(4)


def test_an_image_of_ones_own_has_an_answer(browser: Browser, answering: str, folder: Path) -> None:
    with visiting(browser, answering, **DESKTOP) as visit:
        page = visit.open("#/index/lookup")
        page.locator("input[type=file]").first.set_input_files(next((folder.parent / "photos").rglob("*.png")))
        expect(page.locator(".answer")).to_contain_text(re.compile(r"The network answers \d \(\d"))
        page.get_by_role("button", name="Why, in every layer?").click()
        why = page.get_by_role("region", name="Why, in every layer")
        expect(why.get_by_role("heading", level=3)).to_have_count(1)
        why.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("button", name="Why, in every layer?")).to_be_visible()


def test_an_index_without_answers(visit: Visit) -> None:
    page = visit.open("#/small/mistakes")
    expect(page.get_by_role("heading", name="The network's answers are not known")).to_be_visible()
    visit.expect_error("404")
