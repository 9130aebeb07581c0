"""The wall of a layer of which some pages fail: it says so, also far from its ends, and fetches them on request."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.explorer.conftest import LAYER, Visit
from tests.explorer.test_access import serious_findings
from tests.explorer.test_pictures import busy

WALL = f"#/small/layers/{LAYER}"
WAITING = ".wall .card[aria-busy]"


@contextmanager
def failing(page: Page, url: str, *offsets: int) -> Iterator[None]:
    """Answers 503 for these pages of a list while it lasts."""

    def answer(route: Route) -> None:
        found = re.search(r"offset=(\d+)", route.request.url)
        busy(route) if not offsets or (found and int(found[1]) in offsets) else route.continue_()

    page.route(url, answer)
    yield
    page.unroute(url)


def opened(visit: Visit, shown: str = "patches") -> Page:
    """The wall with all rows that it wants at its top: more of them, wanted later, ask for failed pages, too."""
    page = visit.open(WALL if shown == "patches" else f"{WALL}?show={shown}")
    expect(page.locator(".wall .card b").first).to_be_visible()
    page.wait_for_timeout(1200)
    return page


def to_card(page: Page, number: int) -> None:
    """Scroll so that a card of the wall is in the middle of the screen."""
    page.evaluate(
        """(share) => {
          const { top, height } = document.querySelector('.wall').getBoundingClientRect();
          scrollTo(0, scrollY + top + share * height - innerHeight / 2);
        }""",
        number / 512,
    )


@pytest.mark.parametrize("shown", ["patches", "made"])
def test_a_page_that_fails_is_told_and_fetched_again(visit: Visit, shown: str) -> None:
    page = opened(visit, shown)
    expect(page.get_by_text("512 neurons", exact=True)).to_be_visible()
    with failing(page, "**/neurons?*", 200, 300):
        to_card(page, 300)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Busy now.")
        expect(alert).to_be_in_viewport()
        expect(page.locator(WAITING).first).to_be_visible()
        visit.expect_error("503")
        assert serious_findings(page) == []
        alert.get_by_role("button", name="Try again").click()
        expect(alert).to_be_visible()
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_have_count(0)
    expect(page.locator(WAITING)).to_have_count(0)
    expect(page.locator('.wall [data-card="300"] .card b')).to_have_text("300")


def test_another_page_that_comes_hides_no_failure(visit: Visit) -> None:
    page = opened(visit)
    with failing(page, "**/neurons?*", 300):
        to_card(page, 300)  # at the border of two pages, of which one comes
        expect(page.locator('.wall [data-card="299"] .card b')).to_have_text("299")
        page.wait_for_timeout(300)
        expect(page.get_by_role("alert")).to_be_visible()
        visit.expect_error("503")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator('.wall [data-card="300"] .card b')).to_have_text("300")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_made_images_that_are_not_told_of_are_asked_for_again(visit: Visit) -> None:
    page = opened(visit, "made")
    with failing(page, "**/optimal?*"):
        to_card(page, 300)
        expect(page.get_by_role("alert")).to_be_in_viewport()
        visit.expect_error("503")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator('.wall [data-card="300"]').get_by_text("not made")).to_be_visible()
