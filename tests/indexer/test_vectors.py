"""The FAISS index: which cells it holds, how it is chosen, and how well it finds."""

from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.derive import vectors
from indexer.jobs.build import build
from tests import reference
from tests.conftest import build_request, write_photos


@pytest.mark.parametrize(
    ("height", "width", "step"),
    [(1, 1, 1), (13, 13, 1), (11, 15, 1), (16, 16, 1), (17, 16, 2), (27, 27, 2), (23, 55, 3)],
)
def test_the_grid_covers_a_map(height: int, width: int, step: int) -> None:
    cells = vectors.grid(height, width)
    assert vectors.grid_step(height, width) == step
    assert len(cells) <= vectors.CELLS
    y, x = np.divmod(cells, width)
    every_y, every_x = np.divmod(np.arange(height * width), width)
    farthest = np.maximum(np.abs(every_y[:, None] - y), np.abs(every_x[:, None] - x)).min(axis=1).max()
    assert farthest <= step // 2, "a cell is out of reach of the grid"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=8, count=24)


def mean_recall(path: Path, layer: str, seed: int) -> float:
    """Share of the true ten nearest cells that are found, ties counted by score."""
    rng = np.random.default_rng(seed)
    shares = []
    with indexer.open(path) as index:
        maps = np.stack([index.activation_maps(image.id, layer) for image in index.find_images(limit=99).items])
        for _ in range(12):
            row, y, x = (int(rng.integers(size)) for size in (len(maps), *maps.shape[2:]))
            found = index.similar(layer, row, y, x, limit=10, per_image="all").items
            tenth = np.sort(reference.cosines(maps, maps[row, :, y, x]).ravel())[-10]
            shares.append(np.mean([hit.score >= tenth - 1e-5 for hit in found]))
    return float(np.mean(shares))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_layer_of_many_cells_is_found_through_its_grid(photos: Path, tmp_path: Path, seed: int) -> None:
    manifest = build(tmp_path / "index", build_request(photos, layers=("features.4",)))
    about = manifest.vectors["features.4"]
    assert (about["type"], about["grid_step"], about["count"]) == ("flat float16", 2, 24 * 12 * 16)
    recall = mean_recall(tmp_path / "index", "features.4", seed)
    assert recall >= 0.85


def test_a_large_index_is_an_inverted_file_of_measured_recall(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "FLAT_BYTES", 1000)
    manifest = build(tmp_path / "index", build_request(photos, layers=("features.7",)))
    about = manifest.vectors["features.7"]
    assert about["type"] == "IVF128, float16"
    assert about["recall_at_10"] >= vectors.RECALL
    assert 1 <= about["probes"] <= 128
    assert mean_recall(tmp_path / "index", "features.7", 0) >= 0.9
