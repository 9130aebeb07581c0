"""The benchmarks run, at toy size; what they measure is for a quiet machine."""

import json
from pathlib import Path

import pytest

from benchmarks import generate, growth, indexing, questions
from tests.conftest import write_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=4, count=6)


def test_indexing_is_measured(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr(indexing, "CASES", [indexing.Case("alexnet", "features.2", 1.0, ("floor", "top ten"))])
    out = tmp_path / "figures.json"
    indexing.main(["--images", str(photos), "--limit", "3", "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    assert [row["name"].partition(": ")[2] for row in rows] == [
        "everything kept / floor", "everything kept / top ten kept, whole network",
    ]  # fmt: skip
    assert all(min(row["reference"] + row["measured"]) > 0 for row in rows)
    assert rows[0]["name"] in capsys.readouterr().out


def test_a_generated_index_answers(small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(questions, "ASKED", 2)
    monkeypatch.setattr(questions, "SECONDS", 0.1)
    monkeypatch.setattr(generate, "SHARD", 30)
    monkeypatch.setattr(generate, "BATCH", 16)
    layer = "features.12"
    generate.main(["--source", str(small_index), "--layer", layer, "--images", "70", "--out", str(tmp_path / "many")])
    questions.main([str(tmp_path / "many"), "--layer", layer, "--out", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["images"] == 70
    assert [answer["name"] for answer in figures["answers"]].count("/healthz") == 1
    assert "70 images" in capsys.readouterr().out


def test_growth_is_measured_by_stage(photos: Path) -> None:
    found = growth.stages(photos, "none", 9)
    assert found["images"] == 9
    assert min(found["indexing s"], found["deriving s"]) > 0
    assert growth.exponent([10, 100, 1000], [3, 30, 300]) == pytest.approx(1)
