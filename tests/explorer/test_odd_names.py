"""Classes whose names are not UTF-8, or mean something in an address, in the browser: all is shown, links lead on."""

import os
import random
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from indexer.jobs.build import build
from tests.conftest import build_request, write_photos
from tests.explorer.conftest import DESKTOP, Visit, served, visiting
from tests.service.test_odd_names import NAMES

ODD = NAMES[0]
MODULE = "import(document.querySelector('script[type=module]').src.replace(/[^/]+$/, 'lib/encode.js'))"


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("odd")
    photos = write_photos(folder / "photos", seed=5, count=len(NAMES) * 2, classes=NAMES)
    build(folder / "index", build_request(photos, model="tests.own_models:small", layers=("0", "5"), preprocessing={}))
    with served(folder / "index", "--notes", str(folder / "notes"), "--results", str(folder / "results")) as address:
        yield address


@pytest.fixture
def visit(browser: Browser, odd: str) -> Iterator[Visit]:
    with visiting(browser, odd, **DESKTOP) as visit:
        yield visit


def units(text: str) -> list[int]:
    """UTF-16, which carries lone surrogates past the browser's driver."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2)]


def told(element: Locator) -> list[int]:
    """The text of an element, or the value of a field, as `units` has it."""
    return element.evaluate(
        "({ value, textContent }) => (value ?? textContent).split('').map((unit) => unit.charCodeAt(0))"
    )


def chosen(page: Page) -> list[int]:
    return told(page.get_by_role("combobox", name="Class", exact=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_leads_to_its_neurons_and_images_and_back(visit: Visit, name: str) -> None:
    own = quote(os.fsencode(name), safe="")
    page = visit.open(f"#/index/classes/{own}?layer=0")
    if name == ODD:
        visit.expect_error("422")  # of its note
    expect(page.get_by_text("2 images", exact=True)).to_be_visible()
    expect(page.locator(".alike img").first).to_be_visible()
    expect(page.get_by_role("heading", name="Similar classes")).to_be_visible()
    assert told(page.get_by_role("heading", level=1)) == units(name)
    expect(page.locator(".patches img")).to_have_count(2)
    page.get_by_role("link", name="Its images").click()
    expect(page.locator(".patches img")).to_have_count(2)
    assert chosen(page) == units(name)
    page.locator(".patches a").first.click()
    expect(page.locator(".stage img")).to_be_visible()
    page.locator("header.title a").first.click()
    expect(page.locator(".patches img")).to_have_count(2)
    assert chosen(page) == units(name)


def test_a_class_is_chosen_and_stays_in_the_url(visit: Visit) -> None:
    page = visit.open("#/index/layers/0/neurons/1")
    expect(page.locator(".patches img").first).to_be_visible()
    page.get_by_role("combobox", name="Class", exact=True).select_option(
        index=1 + sorted(NAMES, key=os.fsencode).index(ODD)
    )
    expect(page).to_have_url(re.compile("class=caf%E9$"))
    page.locator(".switch", has_text="Heat").click()
    expect(page).to_have_url(re.compile("class=caf%E9&heat=true$"))
    page.reload()
    expect(page.locator(".patches img").first).to_be_visible()
    assert chosen(page) == units(ODD)
    shown = page.request.get(f"{visit.address}v1/indexes/index/layers/0/neurons/1/patches?class=caf%E9").json()["items"]
    expect(page.locator(".patches img")).to_have_count(sum(patch["activation"] > 0 for patch in shown))


def test_why_it_has_no_note_is_said(visit: Visit) -> None:
    page = visit.open("#/index/classes/caf%E9")
    expect(page.get_by_text("a class whose name is not UTF-8 cannot have a note")).to_be_visible()
    visit.expect_error("422")


@pytest.mark.parametrize("seed", range(3))
def test_texts_are_encoded_and_decoded_as_python_does_it(visit: Visit, seed: int) -> None:
    lot = random.Random(seed)
    page = visit.open("#/")
    parts = [
        b"a",
        b"%",
        b"+ &=#?/",
        "é".encode(),
        "漢".encode(),
        "😀".encode(),
        b"\xe9",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc0\x80",
    ]
    names = [b"".join(lot.choices(parts, k=lot.randrange(1, 8))) for _ in range(200)]
    names += [lot.randbytes(lot.randrange(1, 9)).replace(b"\0", b"") for _ in range(200)]
    texts = [os.fsdecode(name) for name in names]
    encoded, decoded = page.evaluate(
        """async ([texts, quoted]) => {
          const { encode, decode, Query, queryText } = await MODULE;
          const units = (text) => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
          const encoded = texts.map((one) => encode(String.fromCharCode(...one)));
          const asked = new Query(queryText(texts.map((one) => ['n', String.fromCharCode(...one)])));
          return [encoded, [encoded.map(decode), quoted.map(decode), asked.getAll('n')].map((all) => all.map(units))];
        }""".replace("MODULE", MODULE),
        [[units(text) for text in texts], [quote(name, safe="") for name in names]],
    )
    assert [unquote_to_bytes(one) for one in encoded] == names
    for way in decoded[:2]:
        assert way == [units(text) for text in texts]
    assert decoded[2] == [units(text) for text in texts if text]
