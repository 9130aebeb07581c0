"""The image made for a neuron, beside its patches: made on demand, and shown when it is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.explorer.conftest import DESKTOP, PHONE, served, visiting
from tests.explorer.test_access import serious_findings
from tests.explorer.test_images import give
from tests.planted import build_planted, numbered, write_colours
from tests.service.jobs import MODEL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    index = build_planted(write_colours(folder / "photos", 1, numbered(3), noise=90), folder / "index")
    with served(index, "--model", MODEL, "--results", str(folder / "results")) as address:
        yield address


def test_an_image_is_made_and_stays(browser: Browser, address: str) -> None:
    with visiting(browser, address, **DESKTOP) as visit:
        page = visit.open("#/index/layers/1/neurons/2")
        made = page.get_by_role("region", name="Made image")
        made.get_by_role("button", name="Make it").click()
        expect(made.get_by_role("img", name="Image made for neuron 2")).to_be_visible(timeout=60_000)
        expect(made).to_contain_text("over the highest image")
        expect(made).to_contain_text("fourier, 256 steps, seed 0")
    with visiting(browser, address, **PHONE) as visit:
        page = visit.open("#/index/layers/1/neurons/2")
        expect(page.get_by_role("img", name="Image made for neuron 2")).to_be_visible()
        assert serious_findings(page) == []
        visit.open("#/jobs")
        page.get_by_role("link", name="make").click()
        expect(page.get_by_role("heading", name="Neuron 2")).to_be_visible()


def test_a_wall_shows_made_images_and_makes_those_that_are_missing(browser: Browser, address: str) -> None:
    api = f"{address}v1/indexes/index/layers/1"
    with visiting(browser, address, **DESKTOP) as visit:
        page = visit.open("#/index/layers/1")
        page.get_by_role("radio", name="made images").check()
        neurons = page.request.get(api).json()["neurons"]
        asked = ",".join(map(str, range(neurons)))
        listed = page.request.get(f"{api}/optimal?neurons={asked}").json()["items"]
        made = [one["neuron"] for one in listed if one["recipe"]]
        expect(page.get_by_text("not made")).to_have_count(neurons - len(made))
        assert serious_findings(page) == []
        page.get_by_role("button", name=f"Make {neurons - len(made)} here that are missing").click()
        expect(page.get_by_role("img", name="Image made for neuron")).not_to_have_count(len(made), timeout=60_000)
        for neuron in range(neurons):
            picture = page.get_by_role("img", name=f"Image made for neuron {neuron} of 1")
            expect(picture.or_(page.locator(f"a.card-dead[href$='/neurons/{neuron}']"))).to_be_visible()
        page.reload()
        expect(page.get_by_role("radio", name="made images")).to_be_checked()
        expect(page.get_by_role("img", name="Image made for neuron").first).to_be_visible()


def test_an_image_is_fooled_and_the_slider_shows_more_of_either(browser: Browser, address: str) -> None:
    with visiting(browser, address, **DESKTOP) as visit:
        page = visit.open("#/index/images/0")
        page.get_by_role("button", name="Fool the network").click()
        page.get_by_role("form", name="Fool the network").get_by_role("button", name="Start").click()
        changed = page.get_by_role("region", name="Changed image")
        expect(changed.get_by_role("heading", name="Neurons that turned")).to_be_visible(timeout=60_000)
        expect(changed.get_by_role("img", name="After")).to_be_visible()
        changed.get_by_role("slider").fill("20")
        expect(changed.locator(".before-after-over")).to_have_css("clip-path", "inset(0px 0px 0px 20%)")
        changed.get_by_role("slider").press("ArrowRight")
        expect(changed.locator(".before-after-over")).to_have_css("clip-path", "inset(0px 0px 0px 21%)")
        assert serious_findings(page) == []
        page.reload()
        expect(page.get_by_role("heading", name="Neurons that turned")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(page.get_by_role("button", name="Dream")).to_be_visible()


def test_an_image_is_dreamt_and_painted(browser: Browser, address: str) -> None:
    with visiting(browser, address, **PHONE) as visit:
        page = visit.open("#/index/images/0")
        page.get_by_role("button", name="Dream").click()
        form = page.get_by_role("form", name="Dream")
        form.get_by_role("textbox", name="Neurons").fill("2, 0")
        form.get_by_role("radio", name="slight").check()
        assert serious_findings(page) == []
        form.get_by_role("button", name="Start").click()
        expect(page.get_by_text("3 octaves of 5 steps, seed 0.")).to_be_visible(timeout=60_000)
        expect(page.get_by_role("img", name="After")).to_be_visible()
        expect(page.locator(".changed p").filter(has_text="Neurons 0, 2 of 1, amplified.")).to_be_visible()
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Paint in a style").click()
        form = page.get_by_role("form", name="Paint in a style")
        expect(form.get_by_role("button", name="Start")).to_be_disabled()
        form.get_by_role("radio", name="Image 5,").check()
        assert serious_findings(page) == []
        form.get_by_role("button", name="Start").click()
        expect(page.get_by_role("img", name="The image whose style it got")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Distance from the style")).to_be_visible()
        visit.open("#/jobs")
        page.get_by_role("link", name="art").click()
        expect(page.get_by_text("Distance from the style")).to_be_visible()


def test_an_upload_gives_its_style_and_is_deleted(browser: Browser, address: str, folder: Path) -> None:
    photo = min((folder / "photos").rglob("*.png")).read_bytes()
    with visiting(browser, address, **DESKTOP) as visit:
        page = visit.open("#/index/lookup")
        expect(page.get_by_role("heading", name="An image of your own")).to_be_visible()
        give(page, "drop", "mine.png", "image/png", photo)
        page.get_by_role("button", name="Paint in a style").click()
        form = page.get_by_role("form", name="Paint in a style")
        form.get_by_role("radio", name="style", exact=True).check()
        form.get_by_role("radio", name="Image 5,").check()
        form.get_by_role("button", name="Start").click()
        expect(page.get_by_text("Distance from the style")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("The service keeps the image and this result until")).to_be_visible()
        [job] = page.request.get(f"{address}v1/jobs?kind=upload-art").json()["items"]
        assert (job["parameters"]["image"], job["parameters"]["style"]) == (5, None)
        page.get_by_role("button", name="Delete image and result").click()
        expect(page.get_by_role("button", name="Paint in a style")).to_be_visible()
        assert page.request.get(f"{address}v1/jobs?kind=upload-art").json()["total"] == 0
