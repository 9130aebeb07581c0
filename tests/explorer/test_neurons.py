"""From the list of indexes to what a neuron fires for."""

import re

from playwright.sync_api import Page, expect

from tests.explorer.conftest import LAYER, Visit

NEURON = f"#/small/layers/{LAYER}/neurons/9"


def patches(page: Page) -> int:
    return page.locator(".patches figcaption b").count()


def test_find_a_neuron(visit: Visit) -> None:
    page = visit.open()
    page.get_by_role("link", name="small").click()
    expect(page.get_by_role("heading", name="squeezenet1_1")).to_be_visible()
    row = page.locator(".layer-row", has_text=LAYER)
    expect(row).to_contain_text("512")
    expect(row.get_by_role("img", name=re.compile("selective|mixed|dense|dead")).first).to_be_visible()
    page.get_by_role("link", name=LAYER, exact=True).click()
    expect(page.locator(".card img[alt^='Top patches of neuron 0 of']")).to_be_visible()
    page.get_by_label("Go to neuron").fill("9")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_role("heading", name=f"Neuron 9 of {LAYER}")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Histogram of"))).to_be_visible()
    expect(page.locator(".patches img").first).to_be_visible()
    expect(page.locator(".alike img").first).to_be_visible()


def test_the_overview_shows_neurons_of_different_classes(visit: Visit) -> None:
    page = visit.open("#/small")
    shown = page.get_by_role("list", name=f"Neurons of {LAYER} that tell a class best")
    links = shown.locator("a[href^='#']")
    expect(links).to_have_count(8)
    numbers = [int(one.get_attribute("href").rpartition("/")[2]) for one in links.all()]
    url = f"{visit.address}v1/indexes/small/layers/{LAYER}/neurons?sort=auc_at_least&order=desc&limit=100"
    best = {one["neuron"]: one["best_class"] for one in page.request.get(url).json()["items"]}
    assert {best[number] for number in numbers[:2]} == {"birds", "boats"}
    assert numbers[0] == next(iter(best))
    assert len(set(numbers)) == 8


def test_sort_and_filter_the_wall(visit: Visit) -> None:
    page = visit.open(f"#/small/layers/{LAYER}")
    first = page.locator(".card b").first
    expect(first).to_have_text("0")
    page.get_by_role("combobox", name="Sort by", exact=True).select_option("maximum")
    listed = page.request.get(f"{visit.address}v1/indexes/small/layers/{LAYER}/neurons?sort=maximum&order=desc").json()
    expect(first).to_have_text(str(listed["items"][0]["neuron"]))
    page.get_by_role("button", name="Largest first").click()
    listed = page.request.get(f"{visit.address}v1/indexes/small/layers/{LAYER}/neurons?sort=maximum").json()
    expect(first).to_have_text(str(listed["items"][0]["neuron"]))
    page.get_by_role("combobox", name="Best class", exact=True).select_option("boats")
    expect(page.locator(".card-class").first).to_have_text("boats")
    filtered = page.request.get(f"{visit.address}v1/indexes/small/layers/{LAYER}/neurons?class=boats").json()["total"]
    expect(page.get_by_text(f"{filtered} neurons", exact=True)).to_be_visible()
    page.get_by_role("radio", name="dense").check()
    expect(page).to_have_url(re.compile("state=dense"))


def test_only_what_is_near_is_fetched(visit: Visit) -> None:
    page = visit.open("#/small/layers/classifier")
    expect(page.get_by_text("1,000 neurons", exact=True)).to_be_visible()
    expect(page.locator(".card img").first).to_be_visible()
    assert page.locator(".card").count() < 150
    asked = [url for url in visit.requests if "/tiles.jpg" in url or "/neurons?" in url]
    assert len(asked) < 160
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(page.locator("[data-card='999'] b")).to_have_text("999")
    assert page.locator(".card").count() < 150
    assert sum("/tiles.jpg" in url for url in visit.requests) < 300


def test_look_deeper_without_a_jump(visit: Visit) -> None:
    page = visit.open(NEURON)
    expect(page.locator(".patches figcaption b")).to_have_count(12)
    more = page.get_by_role("button", name="Show more")
    more.scroll_into_view_if_needed()
    seen = page.locator(".patches > li").nth(8)
    before = seen.bounding_box()
    more.click()
    page.wait_for_timeout(50)
    assert seen.bounding_box() == before  # while it loads
    expect(page.locator(".more")).to_contain_text(re.compile(r"(3[0-9]|[12][0-9]|40).*images"))
    page.wait_for_load_state("networkidle")
    assert seen.bounding_box() == before  # and after
    assert patches(page) > 12
    expect(page).to_have_url(re.compile("depth=36"))


def test_filter_patches_by_class(visit: Visit) -> None:
    page = visit.open(NEURON)
    page.get_by_role("combobox", name="Class", exact=True).select_option("birds")
    expect(page).to_have_url(re.compile("class=birds"))
    expect(page.locator(".patches .patch-class").filter(has_text="boats")).to_have_count(0)
    expect(page.locator(".patches .patch-class").first).to_have_text("birds")
    page.locator(".bars").first.get_by_role("link", name="boats").click()
    expect(page.locator(".patches .patch-class").first).to_have_text("boats")
    expect(page.locator(".patches .patch-class").filter(has_text="birds")).to_have_count(0)


def test_every_way_to_show_patches(visit: Visit) -> None:
    page = visit.open(NEURON)
    picture = page.locator(".patches img").first
    expect(picture).to_have_attribute("src", re.compile("outline=true"))
    page.get_by_role("radio", name="patch", exact=True).check()
    expect(picture).not_to_have_attribute("src", re.compile("outline"))
    page.get_by_role("switch", name="Heat").check()
    expect(picture).to_have_attribute("src", re.compile("heat=9"))
    page.get_by_role("radio", name="whole image", exact=True).check()
    expect(picture).to_have_attribute("src", re.compile("/heatmap.png"))
    expect(page.locator(".patches .outline-over").first).to_be_visible()
    page.get_by_role("switch", name="Heat").uncheck()
    expect(picture).to_have_attribute("src", re.compile("/picture.jpg"))
    page.get_by_role("radio", name="all cells", exact=True).check()
    expect(page).to_have_url(re.compile("cells=all"))
    expect(page.locator(".more")).to_contain_text("cells")


def test_neighbours_and_neurons_alike(visit: Visit) -> None:
    page = visit.open(NEURON)
    page.get_by_role("link", name="10 →").click()
    expect(page.get_by_role("heading", name=f"Neuron 10 of {LAYER}")).to_be_visible()
    other = page.locator(".alike b").first
    expect(other).to_be_visible()
    number = other.text_content()
    page.locator(".alike a.picture-to").first.click()
    expect(page.get_by_role("heading", name=f"Neuron {number} of {LAYER}")).to_be_visible()
