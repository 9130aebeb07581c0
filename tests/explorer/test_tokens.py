"""A service that asks for tokens: the page asks for one, and then shows everything, pictures too."""

import hashlib
import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.explorer.conftest import DESKTOP, LAYER, served, visiting

TOKEN = "a-token-for-the-tests"


def test_a_token_opens_the_page(browser: Browser, small_index: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"tests - {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    with served(small_index, "--tokens", str(tokens)) as address, visiting(browser, address, **DESKTOP) as visit:
        page = visit.open(f"#/small/layers/{LAYER}/neurons/9")
        expect(page.get_by_role("heading", name="A token is needed")).to_be_visible()
        visit.expect_error("401")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Go on").click()
        picture = page.locator(".patches img").first
        expect(picture).to_have_attribute("src", re.compile("^blob:"))
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.naturalWidth") > 0
        page.locator(".patches a.picture-to").first.click()
        expect(page.locator(".stage img").first).to_have_attribute("src", re.compile("^blob:"))
