"""What somebody types stays until they store or drop it, whatever the page draws anew meanwhile."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.explorer.conftest import DESKTOP, LAYER, Visit, served, visiting

FIELDS = "input:is(:not([type]), [type=text], [type=search], [type=number]):visible, textarea:visible"
JOB = "0" * 24


def draw_anew(page: Page) -> None:
    """As after a click elsewhere that changes the URL: every component of the view is drawn again."""
    page.evaluate("dispatchEvent(new PopStateEvent('popstate', { state: history.state }))")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")


def kept(page: Page, least: int) -> None:
    """Type into every field of the view, and draw it anew before the field is left."""
    fields = page.locator(FIELDS)
    expect(fields.nth(least - 1)).to_be_visible()
    for number in range(fields.count()):
        field = fields.nth(number)
        text = "23" if field.get_attribute("type") == "number" else "typed, by me"
        field.press("ControlOrMeta+a")
        field.press_sequentially(text)
        draw_anew(page)
        assert field.input_value() == text, field.evaluate("field => field.outerHTML")


def as_it_is(page: Page) -> None:
    """Most views have their fields at once."""


def note_and_list(page: Page) -> None:
    page.get_by_role("button", name="Write").click()
    page.get_by_role("button", name="Add to a list").click()
    expect(page.get_by_label("Remark")).to_be_visible()


def dream(page: Page) -> None:
    page.get_by_role("button", name="Dream").click()


@pytest.mark.parametrize(
    ("fragment", "opened", "least", "refused"),
    [
        (f"layers/{LAYER}/neurons/5", note_and_list, 6, None),
        (f"layers/{LAYER}?sort=maximum&least=1", as_it_is, 4, None),
        (f"layers/{LAYER}?text=wheel", as_it_is, 3, "404"),
        (f"what-if?layer={LAYER}&edits=3:scale:0.5", as_it_is, 3, None),
        (f"importance?layer={LAYER}", as_it_is, 2, "404"),
        ("images/3", dream, 2, None),
    ],
)
def test_nothing_drawn_anew_wipes_a_field(
    browser: Browser, with_notes: str, fragment: str, opened: Callable[[Page], None], least: int, refused: str | None
) -> None:
    with visiting(browser, with_notes, **DESKTOP) as visit:
        page = visit.open(f"#/small/{fragment}")
        opened(page)
        if refused:
            visit.expect_error(refused)
        kept(page, least)


@pytest.fixture(scope="module")
def with_notes(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("typing")
    with served(small_index, "--notes", str(folder / "notes"), "--results", str(folder / "results")) as address:
        yield address


PASTE = """(given) => {
  const data = new DataTransfer();
  if (given.text !== null) data.setData('text/plain', given.text);
  for (const [name, type] of given.files) data.items.add(new File([new Uint8Array([1])], name, { type }));
  const at = given.at === null ? document.body : document.querySelector(given.at);
  at.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}"""
PNG = ("image.png", "image/png")


@pytest.mark.parametrize("field", ["[name=name]", "textarea", "[name=tags]", ".find input", ".controls select"])
def test_a_paste_into_a_field_stays_there(browser: Browser, with_notes: str, field: str) -> None:
    with visiting(browser, with_notes, **DESKTOP) as visit:
        page = visit.open(f"#/small/layers/{LAYER}/neurons/6")
        page.get_by_role("button", name="Write").click()
        page.locator("textarea").fill("half an hour of work")
        for text in (None, "42"):
            page.evaluate(PASTE, {"text": text, "files": [PNG], "at": field})
        draw_anew(page)
        expect(page).to_have_url(re.compile("neurons/6$"))
        expect(page.locator("textarea")).to_have_value("half an hour of work")


@pytest.mark.parametrize(
    ("text", "files", "taken"),
    [
        (None, [PNG], True),
        ("/home/me/image.png", [PNG], True),
        ("42", [PNG], False),
        (None, [("notes.pdf", "application/pdf")], False),
        (None, [("notes.pdf", "application/pdf"), PNG], True),
        ("42", [], False),
    ],
)
def test_only_a_pasted_image_leads_to_the_lookup(
    visit: Visit, text: str | None, files: list[tuple[str, str]], taken: bool
) -> None:
    page = visit.open("#/small/images")
    expect(page.get_by_role("heading", name="Images")).to_be_visible()
    visit.page.route("**/lookup*", lambda route: route.abort())
    page.evaluate(PASTE, {"text": text, "files": files, "at": None})
    draw_anew(page)
    expect(page).to_have_url(re.compile("lookup$" if taken else "images$"))
    if taken:
        visit.expect_error("ERR_FAILED")


def value_of(page: Page) -> Locator:
    return page.get_by_label("Value")


def test_a_value_stays_while_a_job_is_looked_at_again_and_again(visit: Visit) -> None:
    looks: list[Route] = []
    job = {
        "job": JOB, "kind": "what-if", "index": "small", "generation": 1, "current": True, "state": "running",
        "parameters": {"layer": LAYER, "edits": [], "class": None, "exact": False},
        "detail": None, "done": 1, "total": 9, "cancelling": False, "may_end": True,
        "links": {"self": f"/v1/jobs/{JOB}", "result": None},
    }  # fmt: skip

    def look(route: Route) -> None:
        looks.append(route)
        route.fulfill(status=200, content_type="application/json", body=json.dumps(job))

    visit.page.route(f"**/v1/jobs/{JOB}", look)
    page = visit.open(f"#/small/what-if?layer={LAYER}&edits=3:scale:0.5&job={JOB}")
    value_of(page).press("ControlOrMeta+a")
    value_of(page).press_sequentially("2.75")
    seen = len(looks)
    while len(looks) < seen + 2:
        page.wait_for_timeout(50)
    draw_anew(page)
    expect(value_of(page)).to_have_value("2.75")


def test_what_is_stored_is_shown_when_one_goes_back(visit: Visit) -> None:
    page = visit.open(f"#/small/what-if?layer={LAYER}&edits=3:scale:0.5")
    for text in ("1.5", "2.5"):
        value_of(page).press("ArrowUp")
        page.wait_for_function(f"location.hash.includes('3%3Ascale%3A{text}')")
    assert value_of(page).evaluate("field => field === document.activeElement"), "storing a value takes no focus"
    value_of(page).fill("9")
    page.go_back()
    expect(value_of(page)).to_have_value("1.5")
    page.go_back()
    expect(value_of(page)).to_have_value("0.5")
    page.go_forward()
    expect(value_of(page)).to_have_value("1.5")


def test_another_text_that_neurons_fire_for_is_shown(visit: Visit) -> None:
    page = visit.open(f"#/small/layers/{LAYER}?text=wheel")
    visit.expect_error("404")
    text = page.get_by_label("Fires for")
    text.fill("half a word")
    page.evaluate("location.hash = location.hash.replace('wheel', 'spoke')")
    expect(text).to_have_value("spoke")


def test_enter_in_the_box_goes_to_a_hit_of_what_is_typed(visit: Visit) -> None:
    page = visit.open("#/small/images")
    box = page.get_by_label("Find", exact=True)
    found = page.get_by_role("list", name="Found").get_by_role("link")
    for before, text, hit in (("", "features.7", "features.7"), ("features.7", "features.12", "features.12")):
        box.fill(before)
        if before:
            expect(found.first).to_contain_text(before)
        box.fill(text)
        box.press("Enter")  # before the service was even asked
        expect(page).to_have_url(re.compile(f"layers/{re.escape(hit)}$"))


def test_enter_that_waits_is_taken_back_by_another_text_and_by_escape(visit: Visit) -> None:
    held: list[Route] = []
    page = visit.open("#/small/images")
    page.route("**/find?*", lambda route: held.append(route))
    box = page.get_by_label("Find", exact=True)

    def answer(text: str) -> None:
        while not page.locator(".find-list a", has_text=text).first.is_visible():
            while held:
                held.pop().continue_()
            page.wait_for_timeout(20)

    box.fill("features.7")
    box.press("Enter")
    box.fill("features.12")
    answer("features.12")
    box.fill("birds")
    box.press("Enter")
    box.press("Escape")
    page.wait_for_timeout(400)
    box.fill("birds ")  # which opens it again
    answer("birds")
    page.wait_for_timeout(300)
    expect(page).to_have_url(re.compile("images$"))
