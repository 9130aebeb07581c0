"""Contact sheets: the geometry, the pixels, the files."""

import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound
from indexer.images.geometry import Box
from indexer.pictures.sheet import Sheet, Tile, neuron_numbers, sheet
from indexer.pictures.sheet_draw import layout_of, raster, save, svg
from indexer.pictures.sheet_layout import Line, lay_out, view_of
from indexer.query.index import Index
from tests.marks import seeds

LAYER = "features.12"
YELLOW, BLACK = (255, 214, 0), (0, 0, 0)


@pytest.fixture(scope="module")
def alive(index: Index) -> list[int]:
    return np.flatnonzero(index.neuron_statistics(LAYER)["positive_images"] > 0.5)[:7].tolist()


@pytest.mark.parametrize("seed", seeds(20, 4))
def test_views_are_squares_around_their_box_where_the_picture_has_room(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(20, 300, 2))
    left, right = sorted(rng.choice(width + 1, 2, replace=False).tolist())
    top, bottom = sorted(rng.choice(height + 1, 2, replace=False).tolist())
    context = float(rng.choice([0, 0.1, 1, 4]))
    view = view_of(Box(left, top, right, bottom), context, width, height)
    assert 0 <= view.left <= left < right <= view.right <= width
    assert 0 <= view.top <= top < bottom <= view.bottom <= height
    side = round(max(right - left, bottom - top) * (1 + 2 * context))
    assert (view.width, view.height) == (min(side, width), min(side, height))
    for first, end, low, high, length in (
        (view.left, view.right, left, right, width),
        (view.top, view.bottom, top, bottom, height),
    ):
        centred = abs((first + end) - (low + high)) <= 1
        assert centred or first == 0 or end == length


@pytest.mark.parametrize(("rows", "columns", "size"), [(1, 1, 32), (10, 10, 112), (3, 7, 64), (5, 2, 512)])
def test_nothing_on_a_sheet_overlaps(rows: int, columns: int, size: int) -> None:
    lines = [Line(str(number * 111), "max 0.00123", number % 2 == 0) for number in range(rows)]
    layout = lay_out(lines, columns, size, "features.12 at 10,11", lambda text, font: 0.6 * font * len(text))
    page = Box(0, 0, layout.width, layout.height)
    tiles = [tile for line in layout.tiles for tile in line]
    assert all((tile.width, tile.height, tile.intersect(page)) == (size, size, tile) for tile in tiles)
    large, small = layout.fonts
    texts = [(layout.header_y, small, "features.12 at 10,11")]
    for line, label_y, note_y in zip(lines, layout.label_y, layout.note_y, strict=True):
        texts += [(label_y, large, line.label), (note_y, small, line.note)]
    labels = [
        Box(
            layout.label_x, round(y - 0.4 * font), layout.label_x + round(0.6 * font * len(text)), round(y + 0.4 * font)
        )
        for y, font, text in texts
    ]
    rules = [Box(layout.label_x, y, tiles[-1].right, y + 1) for y in layout.rules]
    header = [Box(x - small, layout.header_y - small // 2, x + small, layout.header_y + small // 2)
              for x in layout.columns if 2 * small < size]  # fmt: skip
    for a, b in combinations([*tiles, *labels, *rules, *header], 2):
        assert a.intersect(b).area == 0 or a.intersect(b).width <= 0, (a, b)
    for line in layout.tiles:
        assert [(tile.left + tile.right) // 2 for tile in line] == list(layout.columns)


@pytest.mark.parametrize(("size", "context"), [(64, 0.0), (112, 0.1), (97, 1.0), (160, 4.0)])
def test_tiles_are_the_crops_with_the_box_where_it_is(
    index: Index, photo_folder: Path, alive: list[int], size: int, context: float
) -> None:
    made = sheet(index, LAYER, alive, columns=5, size=size, context=context)
    page, layout = np.asarray(raster(made)), layout_of(made)
    assert page.shape == (layout.height, layout.width, 3)
    for line, neuron in enumerate(alive):
        patches = index.top_patches(LAYER, neuron, limit=5, min=1e-30).items
        assert len(made.tiles[line]) == len(patches)
        for patch, square in zip(patches, layout.tiles[line], strict=False):
            with Image.open(photo_folder / patch.image.path) as original:
                box = patch.box
                view = view_of(box, context, *original.size)
                cut = original.convert("RGB").crop((view.left, view.top, view.right, view.bottom))
            scale = size / max(cut.size)
            cut = np.asarray(cut.resize([max(1, round(side * scale)) for side in cut.size], Image.Resampling.LANCZOS))
            top = square.top + (size - cut.shape[0]) // 2
            left = square.left + (size - cut.shape[1]) // 2
            drawn = page[top : top + cut.shape[0], left : left + cut.shape[1]]
            sy, sx = cut.shape[0] / view.height, cut.shape[1] / view.width
            y0, y1 = round((box.top - view.top) * sy), round((box.bottom - view.top) * sy) - 1
            x0, x1 = round((box.left - view.left) * sx), round((box.right - view.left) * sx) - 1
            framed = np.zeros(cut.shape[:2], bool)
            for inset in (0, 1):
                framed[[y0 + inset, y1 - inset], x0 + inset : x1 - inset + 1] = True
                framed[y0 + inset : y1 - inset + 1, [x0 + inset, x1 - inset]] = True
            free = np.ones(cut.shape[:2], bool)
            free[: round(0.25 * max(size, 80)), : round(0.5 * max(size, 80))] = False  # the number's corner
            np.testing.assert_array_equal(drawn[free & ~framed], cut[free & ~framed])
            assert (drawn[y1, max(x0, size // 2) : x1] == BLACK).all()
            assert (drawn[y1 - 1, max(x0 + 1, size // 2) : x1 - 1] == YELLOW).all()


def test_numbers_are_shares_of_the_maximum_in_order(index: Index, alive: list[int]) -> None:
    made = sheet(index, LAYER, alive, columns=40)
    for line, neuron in enumerate(alive):
        peaks = np.sort(index.layer(LAYER).peaks[neuron])[::-1]
        texts = [f"{peak / peaks[0]:.2f}" for peak in peaks if peak > 0]
        assert [tile.text for tile in made.tiles[line]] == texts
        assert made.lines[line] == Line(str(neuron), f"max {peaks[0]:.3g}")


def test_units_show_one_cell(index: Index, alive: list[int]) -> None:
    y, x = 2, 5
    made = sheet(index, LAYER, alive, columns=40, y=y, x=x)
    for line, neuron in enumerate(alive):
        values = [index.activation_map(image.id, LAYER, neuron)[y, x] for image in index.find_images(limit=100).items]
        highest = index.neuron_statistics(LAYER)["maximum"][neuron]
        expected = [f"{value / highest:.2f}" for value in sorted(values, reverse=True) if value > 0]
        assert [tile.text for tile in made.tiles[line]] == expected
    assert made.title == f"{LAYER} at 2,5"


def test_places_stay_empty_where_nothing_is_active(index: Index, alive: list[int]) -> None:
    dead = np.flatnonzero(index.neuron_statistics(LAYER)["dead"])
    assert len(dead)
    made = sheet(index, LAYER, [int(dead[0]), alive[0]], columns=3)
    assert (made.lines[0].note, made.tiles[0]) == ("dead", [])
    assert len(made.tiles[1]) == 3
    square = layout_of(made).tiles[0][0]
    page = np.asarray(raster(made))[square.top : square.bottom, square.left : square.right]
    assert (page == 255).all()


def test_one_class_and_several_lines(index: Index, alive: list[int]) -> None:
    made = sheet(index, LAYER, alive[:1], columns=6, rows=4, class_="boats")
    peaks = index.layer(LAYER).peaks[alive[0]][index.images.rows_of_class("boats")]
    assert sum(map(len, made.tiles)) == (peaks > 0).sum()
    assert [line.note for line in made.lines[1:]] == [f"from {6 * n + 1}" for n in range(1, len(made.lines))]
    with pytest.raises(NotFound):
        sheet(index, LAYER, alive[:1], class_="cars")


@pytest.mark.parametrize(
    ("neurons", "options", "word"),
    [
        ([], {}, "number of neurons"), (range(51), {}, "number of neurons"), ([1], {"columns": 51}, "columns"),
        ([1], {"columns": 0}, "columns"), ([1, 2], {"rows": 26}, "rows"), ([1], {"size": 513}, "size"),
        ([1], {"context": 5}, "context"), (range(50), {"columns": 50, "size": 200}, "pixels"),
        ([1], {"y": 3}, "y and x"),
    ],
)  # fmt: skip
def test_limits_are_named(index: Index, neurons: list[int], options: dict, word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        sheet(index, LAYER, list(neurons), **options)


def test_lists_of_numbers() -> None:
    assert neuron_numbers("3, 17,230") == [3, 17, 230]
    for text in ("", "a", "1,,2", "-1", "1.5", "²", "1" * 10):
        with pytest.raises(InvalidRequest, match="neurons must be numbers"):
            neuron_numbers(text)


def test_files(tmp_path: Path) -> None:
    picture = Image.new("RGB", (64, 48), (200, 30, 30))
    made = Sheet("a <layer> & more", 3, 64, [Line("7", "max 1"), Line("8", "dead")], [[Tile(picture, "1.00")] * 2, []])
    page = raster(made)
    for name in ("a.png", "a.jpg", "A.PDF", "a.svg"):
        save(made, tmp_path / name)
    with Image.open(tmp_path / "a.png") as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(page))
    with Image.open(tmp_path / "a.jpg") as saved:
        assert saved.size == page.size
    assert (tmp_path / "A.PDF").read_bytes().startswith(b"%PDF")
    root = ElementTree.fromstring(svg(made))
    assert svg(made) == (tmp_path / "a.svg").read_text()
    space = "{http://www.w3.org/2000/svg}"
    sides = ("x", "y", "width", "height")
    images = [Box(*(int(node.get(side)) for side in sides)) for node in root.iter(space + "image")]
    squares = layout_of(made).tiles[0]
    assert images == [Box(tile.left, tile.top + 8, 64, 48) for tile in squares[:2]]
    texts = [node.text for node in root.iter(space + "text")]
    assert sorted(texts) == sorted(["a <layer> & more", "1", "2", "3", "7", "max 1", "8", "dead", "1.00", "1.00"])
    with pytest.raises(InvalidRequest, match=r"\.png, .*\.gif"):
        save(made, tmp_path / "a.gif")
    with pytest.raises(InvalidRequest, match="cannot be written"):
        save(made, tmp_path / "none" / "a.png")


def test_command(small_index: Path, alive: list[int], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    numbers = ",".join(map(str, alive[:3]))
    out = tmp_path / "sheet.png"
    common = ["sheet", str(small_index), "--layer", LAYER, "--out", str(out), "--columns", "4", "--size", "48"]
    assert main([*common, "--neurons", numbers]) == 0
    with indexer.open(small_index) as index, Image.open(out) as saved:
        expected = raster(sheet(index, LAYER, alive[:3], columns=4, size=48))
        assert np.array_equal(np.asarray(saved), np.asarray(expected))
    assert main([*common, "--neurons", "1;2"]) == 1
    assert "neurons must be numbers" in capsys.readouterr().err
