"""Scores of neurons over HTTP: order, bounds, groups, and where there are none."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.jobs.derived.encoder_scores import keep_encoder_scores, make_encoder_scores
from indexer.jobs.derived.scores import work_out_scores
from indexer.query.index import Index
from indexer.query.learning.groups import groups
from tests.colour_encoder import Colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import served

LAYER, BY = "features.7", "features.12"
LAYERS = "/v1/indexes/own/layers"


@pytest.fixture(scope="module")
def folder(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(small_index, tmp_path_factory.mktemp("scores") / "own"))
    work_out_scores(folder, LAYER, BY, patches=8)
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder) as index:
        yield index


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    with served(folder, results=tmp_path_factory.mktemp("results")) as client:
        yield client


def test_neurons_are_sorted_and_bounded(client: ConformingClient, index: Index) -> None:
    scores = index.layer(LAYER).scored()
    for name in ("clarity", "polysemanticity", "redundancy"):
        values = getattr(scores, name)
        least, most = np.nanquantile(values, [0.3, 0.6]).tolist()
        query = f"sort={name}&order=desc&least={least!r}&most={most!r}&limit=500"
        found = client.get(f"{LAYERS}/{LAYER}/neurons?{query}").json["items"]
        expected = [n for n in np.argsort(-values, kind="stable").tolist() if least <= values[n] <= most]
        assert [item["neuron"] for item in found] == expected
        assert [item[name] for item in found] == values[expected].tolist()
        assert [item["nearest"] for item in found] == scores.nearest[expected].tolist()
    bounded = client.get(f"{LAYERS}/{LAYER}/neurons?sort=maximum&least=1e30").json
    assert bounded["total"] == 0
    one = client.get(f"{LAYERS}/{LAYER}/neurons/{expected[0]}").json
    assert one["clarity"] == scores.clarity[expected[0]]


def test_groups_are_rows_of_patches(client: ConformingClient, index: Index) -> None:
    neuron = int(np.nanargmax(index.layer(LAYER).scored().polysemanticity))
    link = client.get(f"{LAYERS}/{LAYER}/neurons/{neuron}").json["links"]["groups"]
    answer = client.get(link).json
    assert answer["scores"] == client.get(f"{LAYERS}/{LAYER}").json["scores"]
    assert answer["scores"]["by"] == BY
    for shown, group in zip(answer["groups"], groups(index, LAYER, neuron), strict=True):
        assert shown["clarity"] == group.clarity
        assert [(p["image"], p["cell"]) for p in shown["patches"]] == [
            (p.image.id, {"y": p.y, "x": p.x}) for p in group.patches
        ]


def test_a_layer_without_scores_says_what_makes_them(client: ConformingClient) -> None:
    assert "scores" not in client.get(f"{LAYERS}/{BY}").json
    plain = client.get(f"{LAYERS}/{BY}/neurons/0").json
    assert "clarity" not in plain
    assert "groups" not in plain["links"]
    for path in (f"{LAYERS}/{BY}/neurons/0/groups", f"{LAYERS}/{BY}/neurons?sort=clarity"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "python -m indexer scores INDEX --layer features.12" in answer.json["detail"]
    assert client.get(f"{LAYERS}/{LAYER}/neurons/9999/groups").status_code == 404
    assert client.get(f"{LAYERS}/{LAYER}/neurons?sort=clarity&least=high").status_code in (400, 422)


def test_those_by_an_encoder_say_by_which(small_index: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_index, tmp_path / "own"))
    with indexer.open(folder) as index:
        scores = make_encoder_scores(index, LAYER, Colours(), patches=4)
        keep_encoder_scores(folder, index.layer(LAYER).info, scores)
        about = {"name": "colours", "digest": "0" * 64, "images": len(index.images), "generation": 1, "lost": 0}
    neuron = int(np.nanargmax(scores.polysemanticity))
    with indexer.open(folder) as index, served(folder, results=tmp_path / "results") as client:
        layer = client.get(f"{LAYERS}/{LAYER}").json["scores"]
        assert (layer["by"], layer["pool"], layer["encoder"]) == ("the encoder colours (00000000)", "crop", about)
        answer = client.get(f"{LAYERS}/{LAYER}/neurons/{neuron}/groups").json
        assert answer["scores"] == layer
        assert [[patch["image"] for patch in group["patches"]] for group in answer["groups"]] == [
            [patch.image.id for patch in group.patches] for group in groups(index, LAYER, neuron)
        ]
