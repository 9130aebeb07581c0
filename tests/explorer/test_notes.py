"""Notes in the browser: written, taken back, found; and nothing that an author writes runs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

import unitscope
from tests import checkpoints
from tests.checkpoints import ORDER, build_checkpoints
from tests.explorer.conftest import BOTH, DESKTOP, LAYER, served, visiting
from tests.explorer.test_access import serious_findings
from tests.service.markdown_attacks import SCRIPTS

NEURON = f"#/small/layers/{LAYER}/neurons/5"


@pytest.fixture(scope="module")
def written(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `small_index` is served with notes."""
    notes = tmp_path_factory.mktemp("notes")
    with served(small_index, "--notes", str(notes), "--jobs", "0", "--results", str(notes / "results")) as address:
        yield address


def put(address: str, path: str, body: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    request = Request(f"{address}v1/{path}", json.dumps(body).encode(), headers, method="PUT")
    urlopen(request, timeout=60).close()


def write(page: Page, **fields: str) -> None:
    page.get_by_role("button", name="Write").or_(page.get_by_role("button", name="Edit")).click()
    for label, text in fields.items():
        page.locator(".note-form").get_by_role("textbox", name=label).fill(text)
    page.get_by_role("button", name="Save").click()


def test_a_neuron_is_named_and_the_name_taken_back(browser: Browser, written: str) -> None:
    with visiting(browser, written, **DESKTOP) as visit:
        page = visit.open(NEURON)
        write(page, Name="soft edges", Note="from the *left*", Tags="edges, soft")
        title = page.get_by_role("heading", level=1)
        expect(title).to_have_text(f"Neuron 5 soft edges of {LAYER}")
        notes = page.get_by_role("region", name="Notes")
        expect(notes.locator("em")).to_have_text("left")
        expect(notes.get_by_role("list", name="Tags").get_by_role("listitem")).to_have_text(["edges", "soft"])
        notes.get_by_role("button", name="Agree 0", exact=True).click()
        expect(notes.get_by_role("button", name="Agree 1", exact=True)).to_be_visible()
        write(page, Name="hard edges")
        expect(title).to_contain_text("hard edges")
        notes.get_by_role("button", name="History").click()
        expect(notes.get_by_role("list", name="History").get_by_role("listitem")).to_have_count(3)
        assert serious_findings(page) == []
        notes.get_by_role("button", name="Undo").click()
        expect(title).to_contain_text("soft edges")
        expect(notes.get_by_role("button", name="Agree 1", exact=True)).to_be_visible()
        notes.get_by_role("button", name="Go back to revision 3").click()
        expect(title).to_contain_text("hard edges")


def fields_of(page: Page) -> list[str]:
    return [page.locator(f".note-form [name={name}]").input_value() for name in ("name", "text", "tags")]


def test_who_comes_second_is_told_and_keeps_the_text(browser: Browser, written: str) -> None:
    with visiting(browser, written, **DESKTOP) as visit:
        page = visit.open(f"#/small/layers/{LAYER}/neurons/6")
        page.get_by_role("button", name="Write").click()
        put(
            written,
            f"indexes/small/note?layer={LAYER}&neuron=6",
            {"name": "theirs", "text": "their *text*", "tags": ["x"]},
        )
        mine = ["mine", "my text", "a, b"]
        for label, text in zip(("Name", "Note", "Tags"), mine, strict=True):
            page.locator(".note-form").get_by_role("textbox", name=label).fill(text)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Somebody has changed it meanwhile")).to_be_visible()
        visit.expect_error("412")
        now = page.get_by_role("region", name="What is there now")
        for theirs in ("theirs", "their text", "x"):
            expect(now.get_by_text(theirs, exact=True)).to_be_visible()
        assert fields_of(page) == mine
        assert serious_findings(page) == []
        page.get_by_role("button", name="Save mine in its place").click()
        expect(page.locator(".note-form")).to_have_count(0)
        expect(page.locator(".note-name")).to_have_text("mine")


def test_who_comes_second_can_go_on_from_what_is_there(browser: Browser, written: str) -> None:
    """Untouched fields too keep what they had: a name of one and tags of another were nobody's note."""
    about = f"indexes/small/note?layer={LAYER}&neuron=10"
    put(written, about, {"name": "first", "text": "first", "tags": ["first"]})
    with visiting(browser, written, **DESKTOP) as visit:
        page = visit.open(f"#/small/layers/{LAYER}/neurons/10")
        page.get_by_role("button", name="Edit").click()
        put(written, about, {"name": "theirs", "text": "theirs", "tags": ["theirs"]})
        write_more(page, "mine")
        page.get_by_role("button", name="Save").click()
        visit.expect_error("412")
        expect(page.get_by_role("region", name="What is there now")).to_be_visible()
        assert fields_of(page) == ["mine", "first", "first"]
        page.get_by_role("button", name="Drop mine and edit this").click()
        expect(page.get_by_role("region", name="What is there now")).to_have_count(0)
        assert fields_of(page) == ["theirs", "theirs", "theirs"]
        write_more(page, "both")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".note-name")).to_have_text("both")


def write_more(page: Page, name: str) -> None:
    page.locator(".note-form").get_by_role("textbox", name="Name").fill(name)


def test_the_buttons_beside_a_form_leave_what_is_written_in_it(browser: Browser, written: str) -> None:
    about = f"indexes/small/note?layer={LAYER}&neuron=11"
    for name in ("older", "newer"):
        put(written, about, {"name": name})
    with visiting(browser, written, **DESKTOP) as visit:
        page = visit.open(f"#/small/layers/{LAYER}/neurons/11")
        page.get_by_role("button", name="Edit").click()
        write_more(page, "half")
        page.get_by_role("button", name="History").click()
        expect(page.get_by_role("list", name="History").get_by_role("listitem")).to_have_count(2)
        assert fields_of(page)[0] == "half"
        page.get_by_role("button", name="Undo").click()
        now = page.get_by_role("region", name="What is there now")
        expect(now.get_by_text("older", exact=True)).to_be_visible()
        page.get_by_role("button", name="Go back to revision 2").click()
        expect(now.get_by_text("newer", exact=True)).to_be_visible()
        page.locator(".switch", has_text="Heat").click()
        expect(page).to_have_url(re.compile("heat=true"))
        assert fields_of(page)[0] == "half"


@pytest.mark.parametrize("device", BOTH)
def test_names_are_found_by_the_box_that_a_key_leads_to(browser: Browser, written: str, device: dict[str, Any]) -> None:
    put(written, f"indexes/small/note?layer={LAYER}&neuron=9", {"name": "teal walls", "text": "also curtains"})
    with visiting(browser, written, **device) as visit:
        page = visit.open("#/small/images")
        expect(page.get_by_role("heading", name="Images")).to_be_visible()
        page.keyboard.press("/")
        page.keyboard.type("teal")
        found = page.get_by_role("list", name="Found").get_by_role("link")
        expect(found.first).to_contain_text(f"teal walls name · neuron 9 of {LAYER}")
        assert page.evaluate("document.documentElement.scrollWidth") <= device["viewport"]["width"]
        assert serious_findings(page) == []
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Neuron 9 teal walls")
        page.keyboard.press("/")
        page.keyboard.type("curtains")
        expect(found.first).to_contain_text("teal walls note")
        page.keyboard.press("ArrowDown")
        expect(found.first).to_be_focused()
        page.keyboard.press("Escape")
        expect(found).to_have_count(0)


def test_a_name_of_an_earlier_checkpoint_is_proposed_and_taken_over(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    early, _ = build_checkpoints(folder)
    new, old = 0, ORDER[0]
    layer = checkpoints.LAYER
    with unitscope.open(early) as index, unitscope.open_notes(folder / "notes") as book:
        book.write(index, layer=layer, neuron=old, name="wheel")
    with (
        served(folder / "indexes", "--notes", str(folder / "notes"), "--jobs", "0") as address,
        visiting(browser, address, reduced_motion="reduce", **DESKTOP) as visit,
    ):
        page = visit.open(f"#/late/layers/{layer}/neurons/{new}")
        proposed = page.get_by_role("list", name="Proposed names").get_by_role("listitem")
        expect(proposed).to_have_count(1)
        expect(proposed).to_contain_text(f"proposed: wheel (counterpart {old} in early, r = ")
        expect(page.get_by_role("heading", level=1)).not_to_contain_text("wheel")
        assert serious_findings(page) == []
        page.get_by_role("button", name="Refuse").click()
        expect(proposed).to_have_count(0)
        put(
            address,
            "indexes/late/proposals/refusal",
            {"layer": layer, "neuron": new, "name": "wheel", "refused": False},
        )
        page.reload()
        page.get_by_role("button", name="Take it over").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"Neuron {new} wheel of {layer}")
        expect(proposed).to_have_count(0)


def test_names_stand_on_the_wall(browser: Browser, written: str) -> None:
    put(written, f"indexes/small/note?layer={LAYER}&neuron=0", {"name": "zero"})
    with visiting(browser, written, **DESKTOP) as visit:
        page = visit.open(f"#/small/layers/{LAYER}?sort=neuron&order=asc")
        expect(page.get_by_text("zero", exact=True)).to_be_visible()


def test_a_list_is_filled_put_in_order_and_emptied(browser: Browser, written: str) -> None:
    with visiting(browser, written, **DESKTOP) as visit:
        for fragment, remark in ((f"#/small/layers/{LAYER}/neurons/7", "one"), ("#/small/classes/birds", "two")):
            page = visit.open(fragment)
            page.get_by_role("button", name="Add to a list").click()
            page.get_by_label("List", exact=True).fill("Odd ones")
            page.get_by_label("Remark").fill(remark)
            page.get_by_role("button", name="Add", exact=True).click()
            expect(page.get_by_text("Added to Odd ones.")).to_be_visible()
        visit.open("#/lists")
        page.get_by_role("link", name="Odd ones").click()
        rows = page.locator("main ol").first.get_by_role("listitem")
        expect(rows).to_have_count(2)
        page.get_by_role("button", name="Move class birds up").click()
        expect(rows.first).to_contain_text("class birds")
        assert serious_findings(page) == []
        page.get_by_role("button", name="Take class birds out").click()
        expect(rows).to_have_count(1)
        page.get_by_role("button", name="Undo").click()
        expect(rows).to_have_count(2)


def test_nothing_that_is_written_runs_or_asks_elsewhere(browser: Browser, written: str) -> None:
    """`visiting` checks that no other host was asked and that the console is silent: a refused script is told there."""
    text = "\n\n".join(SCRIPTS)
    hostile = "<img src=x onerror=attack()>"
    put(written, "indexes/small/note?image=3", {"name": hostile, "text": text, "tags": [hostile]})
    with visiting(browser, written, **DESKTOP) as visit:
        page = visit.page
        page.add_init_script("window.attacked = 0; window.attack = () => { window.attacked += 1; };")
        visit.open("#/small/images/3")
        note = page.get_by_role("region", name="Notes")
        expect(note.locator(".note-name")).to_have_text(hostile)
        for element in note.locator("a, button").all():
            element.dispatch_event("mouseover")
        assert note.locator("img, script, style, iframe, form, input, svg, object, embed, meta, link").count() == 0
        links = note.locator(".note-text a").evaluate_all("links => links.map((link) => link.protocol)")
        assert links
        assert set(links) <= {"http:", "https:"}
        assert page.evaluate("window.attacked") == 0


def test_where_notes_are_off_the_page_says_so(browser: Browser, small_index: Path, tmp_path: Path) -> None:
    with (
        served(small_index, "--notes", "", "--jobs", "0", "--results", str(tmp_path)) as address,
        visiting(browser, address, **DESKTOP) as visit,
    ):
        page = visit.open(NEURON)
        expect(page.get_by_text("notes are off here: --notes names a folder")).to_be_visible()
        visit.expect_error("503")
