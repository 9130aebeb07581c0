"""For everybody: the keyboard alone, a phone, screen readers (axe), dark mode; and light to load."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.explorer.conftest import DESKTOP, LAYER, PHONE, Visit, visiting

VIEWS = {
    "#/": "Indexes",
    "#/small": "squeezenet1_1",
    f"#/small/layers/{LAYER}": LAYER,
    f"#/small/layers/{LAYER}/neurons/9": "Neuron 9",
    "#/small/images": "Images",
    f"#/small/images/7?layer={LAYER}&x=60&y=50": "photo",
    f"#/small/classes?layer={LAYER}&a=birds&b=boats": "Classes",
    "#/small/classes/birds": "birds",
    "#/small/images/9?why=features.12": "photo",
    "#/small/concept?images=2,5": "Which neurons know this?",
    "#/small/why?answered=436": "Why",
    "#/small/report": "What squeezenet1_1 has learned",
    "#/compare?a=small&b=twin": "Compare",
    "#/trend?index=small&index=twin": "Trend",
    "#/small/lookup": "An image of your own",
    f"#/small/what-if?layer={LAYER}&edits=9:silence,12:scale:0.5": "What if",
    "#/jobs": "Jobs",
}
FIRST_VIEW_BYTES = 150_000
AXE = Axe().axe_script


def settle(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", level=1, name=re.compile(re.escape(heading)))).to_be_visible()
    expect(page.locator(".spinner")).to_have_count(0)
    expect(page.locator("[data-is=loading] img")).to_have_count(0)


def serious_findings(page: Page, *rules: str) -> list[str]:
    """What axe finds serious or critical by some of its rules, or by all, each with the first place."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    violations = page.evaluate("options => axe.run(options).then(found => found.violations)", options)
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}"
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(
    ("scheme", "rules"),
    # Darkness changes colours and nothing else.
    [("light", []), pytest.param("dark", ["color-contrast"], marks=pytest.mark.slow)],
)
def test_axe_finds_nothing_serious(browser: Browser, address: str, scheme: str, rules: list[str]) -> None:
    with visiting(browser, address, color_scheme=scheme, **DESKTOP) as visit:
        for fragment, heading in VIEWS.items():
            settle(visit.open(fragment), heading)
            assert serious_findings(visit.page, *rules) == [], fragment


def test_fits_a_phone(browser: Browser, address: str) -> None:
    with visiting(browser, address, **PHONE) as visit:
        for fragment, heading in VIEWS.items():
            settle(visit.open(fragment), heading)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"], fragment
            expect(visit.page.get_by_role("link", name="unitscope")).to_be_in_viewport()
        assert serious_findings(visit.page) == []


def test_tap_through_on_a_phone(browser: Browser, address: str) -> None:
    with visiting(browser, address, **PHONE) as visit:
        tap_through(visit.open("#/small"))


def tap_through(page: Page) -> None:
    page.get_by_role("link", name=LAYER, exact=True).tap()
    page.locator(".card a.picture-to").first.tap()
    expect(page.get_by_role("heading", name=f"Neuron 0 of {LAYER}")).to_be_visible()
    page.locator(".patches a.picture-to").first.tap()
    box = page.locator(".stage").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    expect(page.get_by_role("heading", name="At this point")).to_be_visible()


def focused(page: Page) -> str:
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
    )


def card_with_focus(page: Page) -> int:
    return int(page.evaluate("document.activeElement.closest('[data-card]').dataset.card"))


def tab_to(page: Page, name: str, most: int = 60) -> None:
    """Press Tab until the thing of this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if re.search(name, focused(page)):
            return
    raise AssertionError(f"no {name} within {most} steps; at {focused(page)!r}")


def test_keyboard_alone(visit: Visit) -> None:
    page = visit.open("#/small")
    expect(page.get_by_role("link", name=LAYER, exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    tab_to(page, f"^{re.escape(LAYER)}$")
    page.keyboard.press("Enter")
    expect(page.locator(".card img").first).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(page, "^Go$")
    page.keyboard.press("Tab")
    assert card_with_focus(page) == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    card = card_with_focus(page)
    assert card > 1
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Neuron {card} of {LAYER}")).to_be_visible()
    expect(page.locator(".patches a").first).to_be_visible()
    page.evaluate("document.querySelector('.patches a').focus()")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Fires on this image")).to_be_visible()
    tab_to(page, "Click a point")
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="At this point")).to_be_visible()
    page.goto(f"{visit.address}#/small/classes?layer={LAYER}")
    expect(page.get_by_role("application")).to_be_visible()
    tab_to(page, "Likeness of 2 classes")
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Neurons that know both")).to_be_visible()


@pytest.mark.parametrize("fragment", ["", "#/small", f"#/small/layers/{LAYER}", f"#/small/layers/{LAYER}/neurons/9"])
def test_a_first_view_is_light(visit: Visit, fragment: str) -> None:
    """The page, its modules and its styles, as files; what the API answers is not the front end's."""
    sizes = {}
    visit.page.on("response", lambda answer: sizes.update({answer.url: answer}))
    page = visit.open(fragment)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.wait_for_load_state("networkidle")
    own = {url: len(answer.body()) for url, answer in list(sizes.items()) if "/v1/" not in url}
    assert len(own) > 10
    assert sum(own.values()) < FIRST_VIEW_BYTES
