"""/docs in a browser: readable on a phone, in the dark, without a request to anything else."""

import pytest
from playwright.sync_api import Browser

from tests.explorer.conftest import DESKTOP, PHONE, Visit


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_is_one_request_and_fits(browser: Browser, address: str, device: dict, scheme: str) -> None:
    context = browser.new_context(**device, color_scheme=scheme)
    visit = Visit(context, address)
    page = visit.open("docs")
    assert [url for url in visit.requests if not url.startswith("data:")] == [f"{address}docs"]
    assert visit.errors == []
    width = device["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")  # the style is let in by the policy
    page.click("text=The patches a neuron fires for most")
    assert page.url.endswith("#list_patches")
    page.click("#list_patches details summary")
    assert page.is_visible("#list_patches details[open] pre")
    context.close()
