"""The benchmarks of dictionaries and atlases run, at toy size."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import indexer
from benchmarks import atlas, atlas_view, directions
from indexer.query.atlases.atlas import points_of

LAYER = "features.7"


@pytest.fixture
def own(small_index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_index, tmp_path / "own"))


def test_dictionaries_stand_beside_neurons_and_random_directions(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "in_its_own_process", directions.of_method)
    out = own.parent / "figures.json"
    asked = ["--layer", LAYER, "--methods", "kmeans", "random", "--components", "6", "--cells", "200"]
    directions.main([str(own), *asked, "--out", str(out)])
    neurons, kmeans, random = json.loads(out.read_text())
    with indexer.open(own) as index:
        known = index.layer(LAYER)
        assert neurons["singles_out"] == (known.selectivity.best_at_least >= 0.9).mean()
        assert (neurons["components"], neurons["r2"], kmeans["components"]) == (known.info.channels, 1, 6)
        drawn = index.layer(f"{LAYER}~random")
        image = int(index.images.id[3])
        given = index.activation_maps(image, LAYER).reshape(known.info.channels, -1)
        units = np.random.default_rng(0).normal(size=(6, known.info.channels))
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        codes = index.activation_maps(image, drawn.name).reshape(6, -1)
        np.testing.assert_allclose(codes, np.maximum(units @ given, 0), rtol=2e-3, atol=2e-2)
    assert random["r2"] > 0
    assert 0 < random["stability"] < 1
    assert min(kmeans[name] for name in directions.STAGES) >= 0
    assert kmeans["megabytes"] > 0


def test_an_atlas_has_its_price(small_index: Path) -> None:
    found = atlas.cost_of(small_index, LAYER, 60, 40)
    assert (found.points, found.fitted) == (60, 40)
    assert found.laying_out > 0
    assert found.placing > 0
    assert 0 <= found.kept_by_pca <= found.kept <= 1


def test_generated_points_are_an_atlas(own: Path) -> None:
    atlas_view.with_generated(own, LAYER, 500)
    with indexer.open(own) as index:
        points = points_of(index, LAYER)
        assert len(points) == 500
        assert points.layout.max() == 1
