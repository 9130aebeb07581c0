"""Pictures that fail, come late or need a token: what is shown in the end is what was asked for last."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from indexer.cli import main
from tests.atlas import LAYER as MAPPED
from tests.atlas import build_atlas
from tests.explorer.conftest import DESKTOP, LAYER, Visit, served, visiting

NEURON = f"#/small/layers/{LAYER}/neurons/8"
PICTURES = re.compile(r"\.(jpg|png)(\?|$)")
BROKEN = """() => [...document.images].filter((image) => image.src && image.complete && !image.naturalWidth)
  .map((image) => image.src)"""
VIEWS = [NEURON, f"#/small/layers/{LAYER}", "#/small/images/3?neuron=8", "#/small/images"]


def busy(route: Route) -> None:
    body = '{"title": "Busy", "detail": "busy now", "status": 503, "type": "urn:x:busy"}'
    route.fulfill(status=503, content_type="application/problem+json", body=body)


def all_arrive(page: Page, least: int = 1) -> None:
    """Every picture near the screen is shown, and no text stands in place of one."""
    page.wait_for_function("least => document.images.length >= least", arg=least)
    page.wait_for_function(
        "() => [...document.images].every((image) => image.loading === 'lazy' || image.complete) "
        "&& !document.querySelector('.picture[data-is=loading] img')"
    )
    assert page.evaluate(BROKEN) == []
    expect(page.locator(".picture-failed")).to_have_count(0)


@pytest.mark.parametrize("late", ["failure", "picture"])
def test_what_comes_late_of_another_picture_hides_none(visit: Visit, late: str) -> None:
    """The picture with heat is held back (or the reason why it failed is) until that without is shown again."""
    held: list[Route] = []
    seen: set[str] = set()

    def hold(route: Route) -> None:
        first = route.request.url not in seen
        seen.add(route.request.url)
        if late == "failure" and first:
            busy(route)
        else:
            held.append(route)

    page = visit.open(NEURON)
    all_arrive(page, 12)
    page.route("**/patch.jpg?*heat=8*", hold)
    heat = page.locator(".switch", has_text="Heat")
    heat.click()
    while len(held) < 3:
        page.wait_for_timeout(20)
    heat.click()
    all_arrive(page, 12)
    for route in held:
        busy(route) if late == "failure" else route.continue_()
    page.wait_for_timeout(500)
    all_arrive(page, 12)
    shown = page.locator(".patches .picture[data-is=shown] img")
    expect(shown).to_have_count(12)
    assert all("heat=" not in image.get_attribute("src") for image in shown.all())
    page.unroute("**/patch.jpg?*heat=8*")
    visit.provoked.append("503")


@pytest.mark.parametrize("fragment", VIEWS)
def test_a_passing_failure_is_tried_again(visit: Visit, fragment: str) -> None:
    asked: Counter[str] = Counter()

    def fail_once(route: Route) -> None:
        asked[route.request.url] += 1
        busy(route) if asked[route.request.url] == 1 else route.continue_()

    visit.page.route(PICTURES, fail_once)
    page = visit.open(fragment)
    visit.expect_error("503")
    page.wait_for_timeout(500)
    all_arrive(page)
    if "neuron=" in fragment:
        expect(page.locator(".stage img")).to_have_count(2)
        assert page.locator(".stage img").evaluate_all("all => all.every((image) => image.naturalWidth > 0)")


def test_one_that_never_comes_is_not_asked_for_for_ever(visit: Visit) -> None:
    """The reason is asked for as often, and there is none."""
    asked: Counter[str] = Counter()

    def break_it(route: Route) -> None:
        asked[route.request.url] += 1
        route.fulfill(status=200, content_type="image/jpeg", body=b"no picture")

    visit.page.route(re.compile("patch.jpg"), break_it)
    page = visit.open(NEURON)
    expect(page.get_by_text("This picture cannot be shown.")).to_have_count(12)
    assert max(asked.values()) <= 6


def test_every_picture_carries_the_token(browser: Browser, small_index: Path, tmp_path: Path) -> None:
    own = build_atlas(small_index, tmp_path, points=200, fitted=150)
    assert main(["neuron-atlas", str(own), "--layer", MAPPED, "--perplexity", "8"]) == 0
    token = "a-token"
    (tmp_path / "tokens").write_text(f"tests - {hashlib.sha256(token.encode()).hexdigest()}\n")
    with (
        served(own, "--tokens", str(tmp_path / "tokens"), "--results", str(tmp_path / "results")) as address,
        visiting(browser, address, **DESKTOP) as visit,
    ):
        visit.provoked.append("GPU stall")
        page = visit.page
        refused: list[str] = []
        page.on("response", lambda answer: refused.append(answer.url) if answer.status == 401 else None)
        page.add_init_script(f"sessionStorage.setItem('unitscope-token', '{token}')")
        for fragment in (f"layers/{MAPPED}/atlas", f"layers/{MAPPED}/neuron-atlas"):
            visit.open(f"#/index/{fragment}")
            expect(page.locator(".atlas-patches img").first).to_have_js_property("complete", True)
            all_arrive(page)
            assert page.locator(".atlas-patches img").first.evaluate("image => image.naturalWidth") > 0
        url = f"{address}v1/indexes/index/layers/{MAPPED}/neuron-atlas/patches?left=0.2&top=0&right=0.8&bottom=1"
        asked = page.request.get(f"{url}&columns=1&rows=1", headers={"Authorization": f"Bearer {token}"})
        point = asked.json()["items"][0]
        visit.open(f"#/index/layers/{MAPPED}/neuron-atlas?patches=off")
        box = page.locator(".atlas canvas").bounding_box()
        x, y = ((point[axis] + 0.02) / 1.04 for axis in "xy")
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        expect(page.locator(".atlas-under img")).to_be_visible()
        all_arrive(page)
        visit.open("#/index/images/3")
        page.get_by_role("button", name="Paint in a style").click()
        expect(page.locator(".pick img").first).to_be_visible()
        all_arrive(page)
        assert refused == []
