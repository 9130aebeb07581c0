"""Every view is a URL: shared, gone back to, copied; and what a URL of nothing shows."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.explorer.conftest import DESKTOP, LAYER, Visit, visiting

NEURON = f"#/small/layers/{LAYER}/neurons/9"


def test_a_shared_url_shows_the_same(visit: Visit, browser: Browser) -> None:
    page = visit.open(NEURON)
    page.get_by_role("combobox", name="Class", exact=True).select_option("boats")
    page.get_by_role("radio", name="all cells", exact=True).check()
    page.get_by_role("switch", name="Heat").check()
    first = page.locator(".patches img").first
    expect(first).to_have_attribute("src", re.compile("heat=9"))
    expect(page.locator(".patches .patch-class").first).to_have_text("boats")
    with visiting(browser, visit.address, **DESKTOP) as other:  # another person's
        there = other.page
        there.goto(page.url)
        expect(there.locator(".patches img").first).to_have_attribute("src", first.get_attribute("src"))
        expect(there.get_by_role("combobox", name="Class", exact=True)).to_have_value("boats")
        expect(there.get_by_role("switch", name="Heat")).to_be_checked()


def test_back_and_forward(visit: Visit) -> None:
    page = visit.open("#/small")
    page.get_by_role("link", name=LAYER, exact=True).click()
    expect(page.locator(".card").first).to_be_visible()
    page.evaluate("scrollTo(0, 2500)")
    card = page.locator(".card a.picture-to").filter(has=page.locator("visible=true")).nth(20)
    expect(card).to_be_visible()
    place = page.evaluate("scrollY")
    target = page.evaluate("document.querySelectorAll('.card a.picture-to')[20].getAttribute('href')")
    page.evaluate("document.querySelectorAll('.card a.picture-to')[20].click()")
    expect(page).to_have_url(re.compile(re.escape(target) + "$"))
    expect(page.get_by_role("heading", level=1, name=re.compile("^Neuron"))).to_be_visible()
    assert page.evaluate("scrollY") == 0
    page.get_by_role("combobox", name="Class", exact=True).select_option("birds")
    expect(page).to_have_url(re.compile("class=birds"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("class="))
    page.go_back()
    expect(page.get_by_role("heading", name=LAYER)).to_be_visible()
    page.wait_for_timeout(300)
    assert abs(page.evaluate("scrollY") - place) < 2
    page.go_back()
    expect(page.get_by_role("heading", name="squeezenet1_1")).to_be_visible()
    page.go_forward()
    page.go_forward()
    expect(page.get_by_role("heading", level=1, name=re.compile("^Neuron"))).to_be_visible()
    assert page.title().startswith(target.rpartition("/")[2])


def test_an_api_link_is_copied_and_answers(visit: Visit) -> None:
    page = visit.open(NEURON)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    link = page.get_by_role("link", name=re.compile("^Copy the API link of Patch")).first
    link.click()
    expect(page.get_by_role("status").filter(has_text="Copied: GET /v1/")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{visit.address}v1/indexes/small/images/")
    answer = page.request.get(copied)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")


def test_the_calls_behind_a_view_are_listed(visit: Visit) -> None:
    page = visit.open(NEURON)
    expect(page.locator(".patches img").first).to_be_visible()
    page.get_by_text("How this page was made").click()
    for path in (f"/layers/{LAYER}/neurons/9", "/patches?limit=12", "/correlated?limit=6"):
        expect(page.locator(".call", has_text=path).first).to_be_visible()


@pytest.mark.parametrize(
    ("fragment", "words"),
    [
        ("#/small/layers/nope", "nope"), ("#/small/images/9999", "9999"), ("#/nowhere", "nowhere"),
        (f"#/small/layers/{LAYER}/neurons/9999", "9999"), ("#/small/classes/cats", "cats"),
        ("#/small/images/7?layer=nope", "nope"),
    ],
)  # fmt: skip
def test_a_url_of_nothing_says_what_is_missing(visit: Visit, fragment: str, words: str) -> None:
    page = visit.open(fragment)
    expect(page.get_by_role("alert").first).to_contain_text(words)
    visit.expect_error("404")


def test_a_url_of_no_view(visit: Visit) -> None:
    for fragment in ("#/small/nothing", "#/small/layers", f"#/small/layers/{LAYER}/neurons/x", "#/%/%E0%A4"):
        page = visit.open(fragment)
        expect(page.locator(".state")).to_be_visible()


def test_a_silent_service_is_told_and_tried_again(visit: Visit) -> None:
    page = visit.open("#/small")
    expect(page.get_by_role("heading", name="squeezenet1_1")).to_be_visible()
    page.route("**/v1/**", lambda route: route.abort())
    page.get_by_role("link", name=LAYER, exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.unroute("**/v1/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()
    visit.expect_error("ERR_FAILED")


def test_comparison_classes_and_report_lead_on(visit: Visit) -> None:
    page = visit.open("#/compare?a=small&b=twin")
    expect(page.locator(".match").first).to_contain_text("r 1")
    page.goto(f"{visit.address}#/small/classes?layer={LAYER}")
    matrix = page.get_by_role("application", name=re.compile("Likeness of 2 classes"))
    matrix.hover()  # which waits until it has its size and stands still
    box = matrix.bounding_box()
    matrix.click(position={"x": 0.75 * box["width"], "y": 0.25 * box["height"]})
    expect(page.get_by_role("heading", name="Neurons that know both")).to_be_visible()
    expect(page.locator(".alike img").first).to_be_visible()
    page.get_by_role("radio", name="confusion", exact=True).check()
    expect(page.get_by_role("heading", name="The network's answers are not known")).to_be_visible()
    visit.expect_error("404")
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
