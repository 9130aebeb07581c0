"""An image and what fires on it: indexed ones, and one's own."""

import base64
import io
import re
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.explorer.conftest import LAYER, Visit

DROP = """([kind, name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const field = kind === 'paste' ? 'clipboardData' : 'dataTransfer';
  for (const name of kind === 'paste' ? ['paste'] : ['dragenter', 'dragover', 'drop']) {
    const Kind = kind === 'paste' ? ClipboardEvent : DragEvent;
    document.body.dispatchEvent(new Kind(name, { bubbles: true, cancelable: true, [field]: transfer }));
  }
}"""


def give(page: Page, kind: str, name: str, type_: str, data: bytes) -> None:
    """Drop or paste a file, as a browser does it."""
    page.evaluate(DROP, [kind, name, type_, base64.b64encode(data).decode()])


def photo(folder: Path) -> bytes:
    return (folder / "birds" / "photo 002.png").read_bytes()


def test_click_a_point(visit: Visit) -> None:
    page = visit.open(f"#/small/images/7?layer={LAYER}")
    expect(page.locator(".firing img").first).to_be_visible()
    stage = page.get_by_role("button", name=re.compile("Click a point"))
    box = stage.bounding_box()
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.6 * box["height"])
    expect(page.get_by_role("heading", name="At this point")).to_be_visible()
    image = page.request.get(f"{visit.address}v1/indexes/small/images/7").json()
    query = dict(re.findall(r"([xy])=([\d.]+)", page.url))
    assert abs(float(query["x"]) - 0.4 * image["width"]) < 1
    assert abs(float(query["y"]) - 0.6 * image["height"]) < 1
    spot = page.request.get(
        f"{visit.address}v1/indexes/small/images/7/point?layer={LAYER}&x={query['x']}&y={query['y']}"
    ).json()["layers"][0]
    cell = f"{spot['cell']['y']},{spot['cell']['x']}"
    expect(page.get_by_text(f"Cell {cell} of {LAYER}")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Nearest patches to cell {cell}")).to_be_visible()
    expect(page.locator(".patches-small img").first).to_be_visible()
    assert page.locator(".outline-over").count() == 1
    page.get_by_role("button", name="Clear point").click()
    expect(page.get_by_role("heading", name="At this point")).to_have_count(0)


def test_heat_on_hover_and_kept(visit: Visit) -> None:
    page = visit.open(f"#/small/images/7?layer={LAYER}")
    row = page.locator(".firing > li").first
    row.hover()
    heat = page.locator(".stage-heat")
    expect(heat).to_have_attribute("src", re.compile(r"/heatmap\.png"))
    page.mouse.move(2, 2)
    expect(heat).to_have_count(0)
    row.get_by_role("button", name=re.compile("Keep the heat")).click()
    page.mouse.move(2, 2)
    expect(page).to_have_url(re.compile(r"neuron=\d+"))
    expect(heat).to_be_visible()


def test_images_lead_to_their_page(visit: Visit) -> None:
    page = visit.open("#/small/images")
    page.get_by_role("combobox", name="Class", exact=True).select_option("boats")
    expect(page.locator(".patch-class").first).to_have_text("boats")
    page.locator(".patches a.picture-to").first.click()
    expect(page.get_by_role("heading", name="Fires on this image")).to_be_visible()


def test_a_dropped_image_gets_the_same_page(visit: Visit, photo_folder: Path) -> None:
    page = visit.open(f"#/small/layers/{LAYER}")
    expect(page.locator(".card").first).to_be_visible()
    give(page, "drop", "mine.png", "image/png", photo(photo_folder))
    expect(page.get_by_role("heading", name="mine.png")).to_be_visible()
    expect(page).to_have_url(re.compile("#/small/lookup$"))
    expect(page.get_by_role("heading", name="Nearest images")).to_be_visible()
    nearest = page.locator("section", has=page.get_by_role("heading", name="Nearest images"))
    expect(nearest.locator(".patch-class").first).to_have_text("birds")  # the indexed image that it is
    expect(nearest.locator("b").first).to_have_text("1.000")
    page.locator(".firing > li").first.hover()
    expect(page.locator(".stage-heat")).to_have_attribute("src", re.compile("^blob:"))
    box = page.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.get_by_role("heading", name="At this point")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Nearest patches to cell"))).to_be_visible()


def test_a_pasted_and_a_chosen_image(visit: Visit, photo_folder: Path) -> None:
    page = visit.open("#/small")
    expect(page.get_by_role("heading", name="squeezenet1_1")).to_be_visible()
    give(page, "paste", "pasted.png", "image/png", photo(photo_folder))
    expect(page.get_by_role("heading", name="pasted.png")).to_be_visible()
    expect(page.locator(".firing img").first).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Your image", exact=True).click()
    chooser.value.set_files({"name": "chosen.png", "mimeType": "image/png", "buffer": photo(photo_folder)})
    expect(page.get_by_role("heading", name="chosen.png")).to_be_visible()
    expect(page.locator(".firing img").first).to_be_visible()


def test_a_refused_file_is_explained(visit: Visit, photo_folder: Path) -> None:
    page = visit.open("#/small/lookup")
    expect(page.get_by_role("heading", name="An image of your own")).to_be_visible()
    give(page, "drop", "letter.txt", "text/plain", b"no image")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("JPEG, PNG, WebP")
    expect(alert.get_by_role("button", name="Choose another image")).to_be_visible()
    visit.expect_error("415")
    give(page, "drop", "cut.png", "image/png", photo(photo_folder)[:700])
    expect(alert).to_contain_text("cut short or damaged")
    visit.expect_error("422")
    give(page, "drop", "good.png", "image/png", photo(photo_folder))
    expect(page.locator(".firing img").first).to_be_visible()


def test_an_original_that_is_gone_is_said_where_it_would_stand(visit: Visit) -> None:
    problem = {"status": 410, "title": "Gone", "detail": "the file of image 7 is no longer there"}
    visit.page.route("**/images/7/picture.jpg*", lambda route: route.fulfill(status=410, json=problem))
    page = visit.open(f"#/small/images/7?layer={LAYER}")
    expect(page.locator(".stage")).to_contain_text(problem["detail"])
    expect(page.locator(".stage img")).to_have_count(0)
    visit.expect_error("410")


def test_an_upload_that_browsers_do_not_show_is_looked_up_all_the_same(visit: Visit, photo_folder: Path) -> None:
    page = visit.open("#/small/lookup")
    expect(page.get_by_role("heading", name="An image of your own")).to_be_visible()
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo(photo_folder))).save(buffer, "TIFF")
    give(page, "drop", "scan.tif", "image/tiff", buffer.getvalue())
    expect(page.locator(".stage")).to_contain_text("cannot be shown")
    expect(page.locator(".firing img").first).to_be_visible()


def test_progress_is_shown_while_an_image_is_sent(visit: Visit, photo_folder: Path) -> None:
    page = visit.open("#/small/lookup")
    expect(page.get_by_role("heading", name="An image of your own")).to_be_visible()
    held = []
    page.route("**/lookup?*", lambda route: held.append(route))
    give(page, "drop", "mine.png", "image/png", photo(photo_folder))
    expect(page.get_by_role("progressbar", name="Upload")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=re.compile("Sending|network"))).to_be_visible()
    for route in held:
        route.continue_()
    page.unroute("**/lookup?*")
    expect(page.locator(".firing img").first).to_be_visible()
