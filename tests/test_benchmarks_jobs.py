"""The benchmarks of whole jobs and of decoding run, at toy size; what they measure is for a quiet machine."""

import json
from pathlib import Path

import pytest
import torch
from torchvision.models import squeezenet1_1

from benchmarks import decoders, moments, versions, whole
from benchmarks.indexing import Case
from tests.conftest import write_photos

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=4, count=6)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(squeezenet1_1().state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_decoding_in_processes_is_measured(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    options = ["--images", str(photos), "--count", "20", "--processes", "1", "--rounds", "2", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["decoders", *options])
    decoders.main()
    assert len(json.loads(out.read_text())) == 2 * 2
    assert all(each["images"] > 0 for each in json.loads(out.read_text()))
    threads, processes = capsys.readouterr().out.splitlines()[-2:]
    assert threads.startswith("| threads | ")
    assert processes.startswith("| 1 processes | ")


@pytest.mark.slow
def test_a_whole_build_is_measured_by_its_parts(
    photos: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    options = ["--images", str(photos), "--weights", str(weights), "--count", "8", "--rounds", "1", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["whole", *options])
    whole.main()
    (row,) = json.loads(out.read_text())["rows"]
    assert min(row["reference"] + row["measured"]) > 0
    parts = [line.split(" | ")[0].removeprefix("| ") for line in capsys.readouterr().out.splitlines()[-5:]]
    assert parts == [moments.FIRST_IMAGE, "indexing", "deriving", "until the last line", moments.GONE]


@pytest.mark.slow
def test_two_commits_take_turns(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here both are this one."""
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr(versions, "CASES", [Case("squeezenet1_1", "features.2", 3), Case("alexnet", "features.0", 3)])
    out = tmp_path / "figures.json"
    versions.main([str(ROOT), "--images", str(photos), "--models", "alexnet", "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    assert [row["name"].partition(": ")[2] for row in rows] == [
        "the other commit / floor", "this commit / floor", "this commit / the other",
    ]  # fmt: skip
    assert rows[0]["note"] == rows[1]["note"] != "", "both keep as many bytes"
    assert rows[0]["measured"] == rows[2]["reference"]
