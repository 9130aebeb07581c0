"""The client's atlas and proposed names, beside the library and the notes; and what assistants do with them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client

import indexer
import unitscope
from indexer.query.atlases.atlas import points_of, select, spread
from service.notes.database.database import Database
from service.notes.exchange.suggestions import suggest
from service.notes.store import Notes
from service.settings import Settings
from tests.atlas import LAYER, build_atlas
from tests.service.listening import running
from unitscope.assistants.server import make_server
from unitscope.client.index import IndexClient
from unitscope.client.transport import Refused

POLYGON = [(0.0, 0.0), (0.6, 0.0), (0.6, 1.0), (0.0, 1.0)]


@pytest.fixture(scope="module")
def folder(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_atlas(small_index, tmp_path_factory.mktemp("atlas"), points=120, fitted=80)


@pytest.fixture
def index(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IndexClient]:
    """With notes of its own, in which a machine proposes two names for neuron 3."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with indexer.open(folder) as opened:
        weights = opened.manifest.configuration.weights_digest
    lines = [
        json.dumps({
            "weights_sha256": weights, "layer": LAYER, "dictionary_sha256": None, "neuron": 3, "rank": rank,
            "name": name, "by": "encoder", "encoder": "colours", "score": 2.0 - rank, "auc": 0.9, "auc_at_least": 0.7,
        })
        for rank, name in enumerate(("wheel", "ring"), 1)
    ]  # fmt: skip
    notes = Notes(Database(str(tmp_path / "unitscope")))
    suggest(notes, lines)
    notes.close()
    with unitscope.connect(folder) as index:
        yield index


def test_an_atlas_is_that_of_the_library(index: IndexClient, folder: Path) -> None:
    with indexer.open(folder) as opened:
        points, shown = points_of(opened, LAYER), spread(opened, LAYER, 0, 0, 1, 1, 3, 2)
        chosen = select(opened, LAYER, POLYGON, 3)
        about = index.atlas(LAYER)
        assert (about["points"], about["classes"]) == (len(points), opened.classes)
    rows = index.atlas_points(LAYER)
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"]], axis=1), points.layout)
    np.testing.assert_array_equal(rows["image"], points.images)
    np.testing.assert_array_equal(index.atlas_points(LAYER, limit=7), rows[:7])
    patches = index.atlas_patches(LAYER, columns=3, rows=2)
    assert [(patch.image, patch.cell, patch.neuron) for patch in patches] == [
        (point.image.id, (point.y, point.x), point.neuron) for point in shown
    ]
    assert patches[0].picture().size[0] > 0
    selection = index.atlas_selection(LAYER, POLYGON, limit=3)
    assert selection["points"] == chosen.points
    assert selection["direction"] == {str(neuron): weight for neuron, weight in chosen.direction.items()}
    along = index.search(LAYER, {int(neuron): weight for neuron, weight in selection["direction"].items()}, limit=2)
    assert len(along) == 2


def test_a_proposed_name_is_taken_or_refused(index: IndexClient) -> None:
    first, second = index.proposals(layer=LAYER, neuron=3).first(5)
    assert [(one.name, one.by["kind"], one.by["auc"]) for one in (first, second)] == [
        ("wheel", "encoder", 0.9), ("ring", "encoder", 0.9)
    ]  # fmt: skip
    assert index.refuse(first)["refused"]
    assert [one.name for one in index.proposals()] == ["ring"]
    assert not index.refuse(first, refused=False)["refused"]
    assert index.proposals().total == 2
    note = index.take(second)
    assert (note["name"], note["revision"]) == ("ring", 1)
    assert list(index.proposals()) == []  # it has a name now
    assert index.top_patches(LAYER, 3).first(1)[0].name == "ring"


def test_what_is_written_beside_a_name_stays(index: IndexClient) -> None:
    (first, _) = index.proposals().first(2)
    index._ask.change(first.links["note"], lambda note: {"name": None, "text": "spokes?", "tags": ["cars"]})
    note = index.take(first)
    assert (note["name"], note["text"], note["tags"], note["revision"]) == ("wheel", "spokes?", ["cars"], 2)


def test_a_change_that_somebody_else_made_meanwhile_is_kept(index: IndexClient) -> None:
    (first, second) = index.proposals().first(2)

    def slow(note: dict[str, Any]) -> dict[str, Any]:
        index.take(second)
        return {"name": first.name, "text": note["text"], "tags": note["tags"]}

    with pytest.raises(Refused, match="somebody has changed it meanwhile"):
        index._ask.change(first.links["note"], slow)
    assert index.top_patches(LAYER, 3).first(1)[0].name == "ring"


def test_assistants_see_atlases_and_take_only_what_is_proposed(index: IndexClient) -> None:
    server = make_server(index._ask, local_files=False, jobs=False, notes=True)

    def called(tool: str, **arguments: object) -> Any:
        async def run() -> Any:
            async with Client(server) as client:
                return await client.call_tool(tool, {"index": index.name, **arguments})

        return asyncio.run(run())

    atlas = called("show_atlas", layer=LAYER)
    kinds = [block.type for block in atlas.content]
    assert kinds[:2] == ["text", "text"]
    assert kinds.count("image") == len(json.loads(atlas.content[1].text)["items"])
    selection = json.loads(called("select_in_atlas", layer=LAYER, polygon=POLYGON, limit=2).content[0].text)
    assert len(selection["neurons"]) == 2
    proposed = json.loads(called("proposed_names", layer=LAYER).content[0].text)
    assert [item["name"] for item in proposed["items"]] == ["wheel", "ring"]
    other = called("take_name", layer=LAYER, neuron=3, name="nonsense")
    assert other.is_error
    assert "is not proposed to neuron 3" in other.content[0].text
    assert not called("refuse_name", layer=LAYER, neuron=3, name="wheel").is_error
    assert json.loads(called("take_name", layer=LAYER, neuron=3, name="ring").content[0].text)["name"] == "ring"
    missing = called("find_by_text", layer=LAYER, text="a wheel")
    assert missing.is_error
    assert "patch-vectors" in missing.content[0].text


def test_a_service_elsewhere_answers_alike(index: IndexClient, folder: Path, tmp_path: Path) -> None:
    settings = Settings(directory=folder, notes=str(tmp_path / "unitscope"), examine=False)
    with running(settings) as ((host, port), _), unitscope.connect(f"http://{host}:{port}") as there:
        assert there.atlas(LAYER) == index.atlas(LAYER)
        assert there.atlas_patches(LAYER, columns=2, rows=2) == index.atlas_patches(LAYER, columns=2, rows=2)
        np.testing.assert_array_equal(there.atlas_points(LAYER), index.atlas_points(LAYER))
        assert there.proposals().first(2) == index.proposals().first(2)
        assert there.take(there.proposals().first(1)[0])["name"] == "wheel"
        assert list(index.proposals()) == []
