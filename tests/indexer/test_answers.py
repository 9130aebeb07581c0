"""Answers of an index against whole-array numpy over a plain forward pass of the untouched model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import indexer
from indexer.jobs.build import build
from indexer.query.index import Index
from tests import reference
from tests.conftest import INPUT, build_request, write_photos

LAYERS = ("features.7", "features.12")
COUNT = 25
FLOAT32 = 2e-5
HALF = 2.0**-10
"""Relative: half a step of float16, and as much again for float32 rounding beside it."""


@dataclass
class Case:
    seed: int
    index: Index
    maps: dict[str, np.ndarray]
    ids: list[int]
    classes: np.ndarray

    def row(self, id: int) -> int:
        return self.ids.index(id)

    def neurons(self, layer: str) -> range:
        """A third of the layer's; three seeds have them all."""
        return range(self.seed % 3, self.maps[layer].shape[1], 3)


@pytest.fixture(scope="module", params=[1, 2, pytest.param(3, marks=pytest.mark.slow)])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    folder = tmp_path_factory.mktemp(f"seed{request.param}")
    photos = write_photos(folder / "photos", seed=request.param, count=21)
    model = reference.plain_model(seed=request.param)
    torch.save(model.state_dict(), folder / "weights.pth")
    wanted = build_request(photos, weights=str(folder / "weights.pth"), layers=LAYERS, shard_size=8, batch_size=3)
    build(folder / "index", wanted)
    with indexer.open(folder / "index") as index:
        records = index.find_images(limit=100).items
        inputs = [reference.plain_input(photos / record.path, 110, INPUT) for record in records]
        maps = {layer: reference.plain_activations(model, inputs, layer) for layer in LAYERS}
        classes = np.array([record.class_ for record in records])
        yield Case(request.param, index, maps, [record.id for record in records], classes)


def same_ranking(found: list, expected: list, values: np.ndarray, case: Case, tolerance: float) -> None:
    """Equal lists of (activation, row, cell), order free only among values that rounding cannot tell apart."""
    assert len(found) == len(expected)
    width = values.shape[-1]
    seen = set()
    for hit, (activation, _, _) in zip(found, expected, strict=True):
        row = case.row(hit.image.id)
        slack = tolerance * max(1.0, abs(activation))
        assert abs(hit.activation - activation) <= slack
        assert abs(values[row, hit.y, hit.x] - hit.activation) <= slack, "the cell does not hold that activation"
        seen.add((row, hit.y * width + hit.x))
    assert len(seen) == len(found)


@pytest.mark.parametrize("layer", LAYERS)
def test_one_patch_per_image_of_every_neuron(case: Case, layer: str) -> None:
    maps = case.maps[layer]
    for neuron in case.neurons(layer):
        page = case.index.top_patches(layer, neuron, limit=COUNT)
        assert page.total == len(maps)
        expected = reference.top_one_per_image(maps, neuron, list(range(len(maps))))
        same_ranking(page.items, expected[:COUNT], maps[:, neuron], case, FLOAT32)


@pytest.mark.parametrize("layer", LAYERS)
def test_all_cells_of_every_neuron(case: Case, layer: str) -> None:
    maps = case.maps[layer]
    for neuron in case.neurons(layer):
        page = case.index.top_patches(layer, neuron, limit=COUNT, per_image="all")
        assert page.total == maps[:, neuron].size
        expected = reference.top_all_cells(maps, neuron, list(range(len(maps))))
        same_ranking(page.items, expected[:COUNT], maps[:, neuron], case, HALF)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("iou", [0.0, 0.3])
def test_suppression_of_every_neuron(case: Case, layer: str, iou: float) -> None:
    """Greedy suppression is right if what was kept is apart, and what was left out overlaps something better."""
    maps = case.maps[layer]
    height, width = maps.shape[2:]
    records = {record.id: record for record in case.index.find_images(limit=100).items}
    boxes = [
        [case.index.box(records[id], layer, *divmod(cell, width)) for cell in range(height * width)] for id in case.ids
    ]
    for neuron in case.neurons(layer):
        kept = case.index.top_patches(layer, neuron, limit=10, per_image="all", iou=iou).items
        values = maps[:, neuron].reshape(len(maps), -1)
        places = [(case.row(hit.image.id), hit.y * width + hit.x) for hit in kept]
        for hit, (row, cell) in zip(kept, places, strict=True):
            assert hit.box == boxes[row][cell]
            assert hit.activation == pytest.approx(values[row, cell], rel=HALF, abs=HALF)
        for first, (row, cell) in enumerate(places):
            for other, place in places[first + 1 :]:
                assert other != row or boxes[row][cell].iou(boxes[row][place]) <= iou
        last = kept[-1].activation
        for row, cell in np.argwhere(values > last + HALF * max(1.0, abs(last))).tolist():
            assert (row, cell) in places or any(
                other == row
                and boxes[row][cell].iou(boxes[row][place]) > iou
                and values[row, place] >= values[row, cell] - HALF * max(1.0, abs(values[row, cell]))
                for other, place in places
            )


def test_class_minimum_cell_and_paging(case: Case) -> None:
    layer = LAYERS[1]
    maps = case.maps[layer]
    of_class = np.flatnonzero(case.classes == "boats").tolist()
    for neuron in range(0, maps.shape[1], 7):
        by_class = case.index.top_patches(layer, neuron, limit=100, class_="boats").items
        same_ranking(by_class, reference.top_one_per_image(maps, neuron, of_class), maps[:, neuron], case, FLOAT32)
        cells = case.index.top_patches(layer, neuron, limit=30, class_="boats", per_image="all").items
        same_ranking(cells, reference.top_all_cells(maps, neuron, of_class)[:30], maps[:, neuron], case, HALF)
        unit = case.index.top_patches(layer, neuron, limit=100, y=3, x=5).items
        assert {(hit.y, hit.x) for hit in unit} == {(3, 5)}
        expected = np.sort(maps[:, neuron, 3, 5])[::-1]
        assert [hit.activation for hit in unit] == pytest.approx(expected.tolist(), rel=HALF, abs=HALF)
        middle = by_class[len(by_class) // 2].activation
        above = case.index.top_patches(layer, neuron, limit=100, class_="boats", min=middle)
        assert above.items == [hit for hit in by_class if hit.activation >= middle]
        assert above.total == len(above.items)
        pages = [case.index.top_patches(layer, neuron, limit=4, offset=offset).items for offset in range(0, 21, 4)]
        assert [hit for page in pages for hit in page] == case.index.top_patches(layer, neuron, limit=100).items
        deep = case.index.top_patches(layer, neuron, limit=5, offset=20, per_image="all").items
        assert deep == case.index.top_patches(layer, neuron, limit=25, per_image="all").items[20:]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("fraction", [0.05, 0.01, 0.005, 0.001, 1 / 3])
def test_thresholds(case: Case, layer: str, fraction: float) -> None:
    maps = case.maps[layer]
    found = case.index.thresholds(layer, fraction)
    expected = [reference.threshold(maps[:, neuron], fraction) for neuron in range(maps.shape[1])]
    assert found.tolist() == pytest.approx(expected, rel=HALF, abs=FLOAT32)


@pytest.mark.parametrize("layer", LAYERS)
def test_statistics(case: Case, layer: str) -> None:
    maps = case.maps[layer].astype(np.float64)
    flat = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
    found = case.index.neuron_statistics(layer)
    assert found["maximum"].tolist() == pytest.approx(flat.max(axis=1).tolist(), rel=FLOAT32, abs=FLOAT32)
    assert found["mean"].tolist() == pytest.approx(flat.mean(axis=1).tolist(), rel=HALF, abs=FLOAT32)
    assert found["std"].tolist() == pytest.approx(flat.std(axis=1).tolist(), rel=HALF, abs=FLOAT32)
    kept = np.float16(flat)
    assert found["positive_cells"].tolist() == pytest.approx((kept > 0).mean(axis=1).tolist(), abs=2e-3)
    assert found["positive_images"].tolist() == (np.float16(maps.max(axis=(2, 3))) > 0).mean(axis=0).tolist()
    assert found["dead"].tolist() == (kept.max(axis=1) <= 0).tolist()
    lowest = np.array([reference.threshold(neuron, 0.005) for neuron in kept])[:, None]
    cells = ((kept >= lowest) & (kept > 0)).mean(axis=1)
    assert found["firing_cells"].tolist() == pytest.approx(cells.tolist(), abs=2.1 / flat.shape[1])
    peaks = np.float16(maps.max(axis=(2, 3)))
    images = ((peaks >= lowest.T) & (peaks > 0)).mean(axis=0)
    assert found["firing_images"].tolist() == pytest.approx(images.tolist(), abs=1.1 / len(maps))


@pytest.mark.parametrize("fraction", [None, 0.05])
def test_neurons_firing_on_an_image(case: Case, fraction: float | None) -> None:
    for id in case.ids[::5]:
        page = case.index.neurons_firing(id, fraction=fraction, limit=2000)
        found = {(firing.layer, firing.neuron): firing for firing in page.items}
        assert len(found) == page.total == len(page.items)
        row = case.row(id)
        for layer, maps in case.maps.items():
            for neuron in range(maps.shape[1]):
                peak = float(maps[row, neuron].max())
                lowest = reference.threshold(maps[:, neuron], fraction or 0.005)
                firing = found.get((layer, neuron))
                if firing is None:
                    assert peak <= 0 or peak < lowest * (1 + HALF)
                else:
                    assert peak > 0
                    assert peak >= lowest * (1 - HALF)
                    assert firing.activation == pytest.approx(peak, rel=FLOAT32, abs=FLOAT32)
                    below = float((maps[:, neuron] < peak * (1 - HALF)).mean() * 100)
                    at_or_below = float((maps[:, neuron] < peak * (1 + HALF)).mean() * 100)
                    assert below - 1e-9 <= firing.percentile <= at_or_below + 1e-9
        percentiles = [firing.percentile for firing in page.items]
        assert percentiles == sorted(percentiles, reverse=True)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("exact", [True, False])
def test_nearest_patches(case: Case, layer: str, exact: bool) -> None:
    maps = case.maps[layer]
    rng = np.random.default_rng(0)
    for _ in range(4):
        row, y, x = (int(rng.integers(size)) for size in (len(maps), *maps.shape[2:]))
        scores = reference.cosines(maps, maps[row, :, y, x])
        every = case.index.similar(layer, case.ids[row], y, x, limit=30, exact=exact, per_image="all").items
        assert [hit.score for hit in every] == pytest.approx(np.sort(scores.ravel())[::-1][:30].tolist(), abs=2e-3)
        for hit in every:
            place = (case.row(hit.image.id), hit.y * maps.shape[3] + hit.x)
            assert hit.score == pytest.approx(scores[place], abs=2e-3)
        one = case.index.similar(layer, case.ids[row], y, x, limit=10, exact=exact).items
        assert one[0].image.id == case.ids[row]
        assert [hit.score for hit in one] == pytest.approx(np.sort(scores.max(axis=1))[::-1][:10].tolist(), abs=2e-3)


@pytest.mark.parametrize("weights", [{5: 1.0}, {5: 1.0, 77: 2.0}, {3: 1.0, 9: -0.5, 200: 0.25}])
@pytest.mark.parametrize("exact", [True, False])
def test_directions(case: Case, weights: dict[int, float], exact: bool) -> None:
    layer = LAYERS[0]
    maps = case.maps[layer].astype(np.float64)
    scores = sum(weight * maps[:, neuron].reshape(len(maps), -1) for neuron, weight in weights.items())
    every = case.index.search(layer, weights, limit=20, exact=exact, per_image="all").items
    expected = np.sort(scores.ravel())[::-1][:20]
    assert [hit.score for hit in every] == pytest.approx(expected.tolist(), rel=4 * HALF, abs=1e-4)


def test_maps_are_kept_to_float16(case: Case) -> None:
    for layer, maps in case.maps.items():
        for row, id in enumerate(case.ids):
            kept = case.index.activation_maps(id, layer)
            np.testing.assert_allclose(kept, maps[row], rtol=HALF, atol=FLOAT32)
            np.testing.assert_array_equal(case.index.activation_map(id, layer, 3), kept[3])


def test_an_upload_gets_the_answer_of_the_indexed_image(case: Case, tmp_path: Path) -> None:
    network = case.index.network()
    record = case.index.image(case.ids[4])
    maps = {layer: batch[0] for layer, batch in network.maps([case.index.picture(record)]).items()}
    uploaded = case.index.neurons_firing_on(maps, record.width, record.height, limit=50).items
    indexed = case.index.neurons_firing(record.id, limit=50).items
    assert [(f.layer, f.neuron, f.y, f.x, f.box) for f in uploaded] == [
        (f.layer, f.neuron, f.y, f.x, f.box) for f in indexed
    ]
    peaks = maps[LAYERS[1]].max(axis=(1, 2))
    nearest = case.index.nearest_images(LAYERS[1], peaks, limit=3).items
    assert nearest[0].image == record
    assert nearest[0].score == pytest.approx(1, abs=1e-5)
