"""The images on which each unit is most active: listed, and asked for without reading a map."""

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import indexer
from indexer.derive import highest as module
from indexer.derive.executor import LocalExecutor
from indexer.derive.highest import Highest, depth_of
from indexer.errors import DamagedFile
from tests.indexer.test_derive_layer import LAYER, Elsewhere, derive

PLACES = [(0, 0), (3, 5), (10, 1)]


@pytest.mark.parametrize("removed", [set(), {1, 17, 18, 39}])
def test_they_are_those_of_all_maps_whoever_makes_them(
    small_index: Path, tmp_path: Path, removed: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = derive(small_index, tmp_path, removed, LocalExecutor())
    with h5py.File(tmp_path / "layer.h5") as file:
        activations, rows = file["highest/activations"][()], file["highest/rows"][()]
    with indexer.open(small_index) as index:
        kept = [id for id in index.images.id.tolist() if id not in removed]
        maps = np.stack([index.activation_maps(id, LAYER) for id in kept])
    flat = maps.reshape(*maps.shape[:2], -1)
    order = np.argsort(-flat, axis=0, kind="stable")[: module.FEWEST]
    np.testing.assert_array_equal(rows, order.transpose(1, 2, 0))
    np.testing.assert_array_equal(activations, np.take_along_axis(flat, order, axis=0).transpose(1, 2, 0))
    monkeypatch.setattr(module, "_PART_IMAGES", 7)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    assert derive(small_index, tmp_path, removed, LocalExecutor()) == whole
    assert derive(small_index, tmp_path, removed, Elsewhere(seed=3)) == whole


@pytest.mark.parametrize("options", [{}, {"class_": "boats"}, {"min": 0.25}, {"class_": "birds", "min": 1e-45}])
def test_one_cell_is_answered_from_them_where_they_tell(small_index: Path, options: dict) -> None:
    with indexer.open(small_index) as index:
        read, real = [], index._read_map
        index._read_map = lambda *place: read.append(place) or real(*place)
        answered = 0
        maps = np.stack([index.activation_maps(id, LAYER) for id in index.images.id.tolist()])
        for neuron in range(0, index.layers[LAYER].info.channels, 9):
            for y, x in PLACES:
                values = maps[:, neuron, y, x]
                wanted = values >= options.get("min", -np.inf)
                if class_ := options.get("class_"):
                    wanted &= index.images.class_code == index.images.code_of(class_)
                rows = np.flatnonzero(wanted)[np.argsort(-values[wanted], kind="stable")]
                for limit in (1, 4, module.FEWEST, 30):
                    read.clear()
                    page = index.top_patches(LAYER, neuron, limit=limit, y=y, x=x, **options)
                    assert [hit.image.id for hit in page.items] == index.images.id[rows[:limit]].tolist()
                    assert [hit.activation for hit in page.items] == values[rows[:limit]].tolist()
                    assert {(hit.y, hit.x) for hit in page.items} <= {(y, x)}
                    answered += not read
                    assert not (read and not options and limit <= module.FEWEST)
        assert answered


def test_pages_go_on_where_they_end(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        together = index.top_patches(LAYER, 3, limit=25, y=3, x=5).items
        pages = [index.top_patches(LAYER, 3, limit=5, offset=first, y=3, x=5).items for first in range(0, 25, 5)]
        assert [hit for page in pages for hit in page] == together


def test_a_file_without_them_answers_the_same(own_index: Path) -> None:
    asked = lambda index: [index.top_patches(LAYER, n, limit=5, y=2, x=3) for n in range(20)]  # noqa: E731
    with indexer.open(own_index) as index:
        expected, file = asked(index), own_index / index.layers[LAYER].file
    with h5py.File(file, "r+") as derived:
        del derived["highest"]
    with indexer.open(own_index) as index:
        assert asked(index) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: np.full_like(rows, 60_000), "names row 60000 of 40"),
        (lambda rows: rows[:, :, :3], "lists the highest images of"),
        (lambda rows: rows[:-1], "lists the highest images of"),
    ],
)
def test_damage_is_named(own_index: Path, change, message: str) -> None:
    with indexer.open(own_index) as index:
        file = own_index / index.layers[LAYER].file
    with h5py.File(file, "r+") as derived:
        changed = change(derived["highest/rows"][()])
        del derived["highest/rows"]
        derived["highest/rows"] = changed
    with pytest.raises(DamagedFile, match=message), indexer.open(own_index) as index:
        index.top_patches(LAYER, 0, limit=5, y=2, x=3)


def test_how_many_images_a_list_holds() -> None:
    layer = lambda channels, cells: SimpleNamespace(channels=channels, cells=cells)  # noqa: E731
    assert [depth_of(layer(512, 169), images) for images in (0, 7, 362, 2000, 1_000_000)] == [0, 7, 10, 20, 32]
    assert depth_of(layer(1000, 1), 5000) == 0, "the peaks say it all"
    assert depth_of(layer(64, 224 * 224), 10_000) == 3, "a layer's lists have their bytes"


def test_lists_of_earlier_images_come_first_among_equals() -> None:
    codes = np.array([[9, 5, 5]], np.uint16)
    both = Highest(codes, np.array([[0, 1, 2]], np.uint32)).followed_by(
        Highest(codes, np.array([[3, 4, 5]], np.uint32))
    )
    assert both.codes.tolist() == [[9, 9, 5]]
    assert both.rows.tolist() == [[0, 3, 1]]
