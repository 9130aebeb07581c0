"""Why this answer: the neurons that pushed an output, as the API says them, on an indexed image and on one's own."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.explorer.conftest import LAYER, Visit
from tests.explorer.test_images import give, photo

FIGURES = """row => [...row.querySelectorAll('.firing-line span')].map(one => one.textContent)"""


def rounded(value: float) -> str:
    """Three digits with a sign, as the page writes numbers below a thousand."""
    return f"{'+' if value > 0 else ''}{float(f'{value:.3g}'):g}"


def check_lists(page: Page, said: dict) -> None:
    lists = page.locator(".why .firing")
    for side, shown in zip(("up", "down"), (lists.nth(0), lists.nth(1)), strict=True):
        rows = shown.locator("> li")
        expect(rows).to_have_count(len(said[side]))
        for number, one in enumerate(said[side]):
            row = rows.nth(number)
            expect(row.get_by_role("link", name=f"Neuron {one['neuron']}", exact=True)).to_be_visible()
            figures = row.evaluate(FIGURES)
            assert figures == [rounded(one["contribution"]), f"without it {rounded(one['effect'])}"]


def test_an_answer_is_explained(visit: Visit) -> None:
    page = visit.open("#/small/images/7")
    page.get_by_role("button", name="Why this answer?").click()
    expect(page).to_have_url(re.compile(f"why={re.escape(LAYER)}"))
    expect(page.get_by_role("heading", name="Pushed it up")).to_be_visible()
    api = f"{visit.address}v1/indexes/small/images/7"
    answers = page.request.get(f"{api}/answer").json()["answers"]
    said = page.request.get(f"{api}/why?layer={LAYER}&limit=5").json()
    assert said["for"]["output"] == answers[0]["output"]
    check_lists(page, said)
    cells = page.locator(".why-picture rect")
    assert cells.count() == sum(value != 0 for row in said["up"][0]["heat"] for value in row)
    second = page.locator(".why .firing > li").nth(1)
    second.get_by_role("button", name=re.compile("Keep the heat")).click()
    page.mouse.move(2, 2)
    expect(page.get_by_text(f"Where the contribution of neuron {said['up'][1]['neuron']} comes from.")).to_be_visible()
    against = answers[1]
    page.get_by_role("combobox", name="Against").select_option(str(against["output"]))
    expect(page).to_have_url(re.compile(f"against={against['output']}"))
    expect(page.locator(".why")).to_contain_text(f"{answers[0]['name']} less {against['name']}")
    other = page.request.get(
        f"{api}/why?layer={LAYER}&limit=5&for={answers[0]['output']}&against={against['output']}"
    ).json()
    check_lists(page, other)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Why this answer?")).to_be_visible()
    assert "why=" not in page.url


def test_an_upload_is_explained(visit: Visit, photo_folder: Path) -> None:
    page = visit.open("#/small/lookup")
    expect(page.get_by_role("heading", name="An image of your own")).to_be_visible()
    give(page, "drop", "mine.png", "image/png", photo(photo_folder))
    page.get_by_role("button", name="Why this answer?").click()
    expect(page.get_by_role("heading", name="Pushed it down")).to_be_visible()
    said = page.request.post(
        f"{visit.address}v1/indexes/small/lookup/why?layer={LAYER}&limit=5",
        data=photo(photo_folder), headers={"Content-Type": "image/png"},
    ).json()  # fmt: skip
    check_lists(page, said)
    expect(page.locator(".why-picture img")).to_have_attribute("src", re.compile("^blob:"))


def test_an_output_that_does_not_exist_is_said(visit: Visit) -> None:
    page = visit.open(f"#/small/images/7?why={LAYER}&for=4000")
    expect(page.locator(".why").get_by_role("alert")).to_contain_text("has the outputs 0 to 999, not 4000")
    visit.expect_error("404")
    page.get_by_role("combobox", name="Explain").select_option(index=0)
    expect(page.get_by_role("heading", name="Pushed it up")).to_be_visible()
