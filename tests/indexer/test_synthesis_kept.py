"""Made images beside an index: checked and repaired by `verify`, counted by `info`, and in what is passed on."""

import json
import re
import shutil
from pathlib import Path

import pytest

import indexer
from indexer.cli import main
from indexer.errors import DamagedFile
from indexer.exports.coco import export_patches
from indexer.exports.page import write_page
from indexer.index.manifest import read_manifest
from indexer.jobs.build import build
from indexer.jobs.space import bytes_by_kind
from indexer.synthesis.kept import keep_optimal, kept_optimal
from indexer.synthesis.optimal import Maker
from indexer.synthesis.recipe import Settings
from tests.conftest import build_request, write_photos


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with the optimal inputs of neurons 0 and 3 of layer 2."""
    folder = tmp_path_factory.mktemp("kept")
    photos = write_photos(folder / "photos", seed=5, count=4)
    build(
        folder / "index",
        build_request(photos, model="tests.own_models:small", weights="none", layers=("1", "2"), preprocessing={}),
    )
    with indexer.open(folder / "index") as index:
        for one in Maker(index, index.network(), "2", Settings(steps=2)).make([0, 3]):
            keep_optimal(index, "2", one.neuron, one.png())
    return folder / "index"


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    code = main([str(each) for each in arguments])
    return code, capsys.readouterr().out.splitlines()


def test_verify_names_damaged_ones_and_repair_removes_them(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify", own) == (0, ["every file is as it was written"])
    [file] = (own / "made" / "2").glob("*/000000.png")
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    (file.parent / "000001.png").write_bytes(whole)
    name = f"made/2/{file.parent.name}"
    causes = {"000000": "is not an image that was made here", "000001": "is not of this neuron"}
    lines = [f"{name}/{number}.png: {cause}; make optimal makes it anew" for number, cause in causes.items()]
    assert said(capsys, "verify", own) == (1, lines)
    generation = read_manifest(own).generation
    assert said(capsys, "verify", own, "--repair")[0] == 0
    assert said(capsys, "verify", own) == (0, ["every file is as it was written"])
    assert [path.name for path in file.parent.iterdir()] == ["000003.png"]
    assert read_manifest(own).generation == generation, "no generation is about made images"


def test_leftovers_are_said_and_removed(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [file] = (own / "made" / "2").glob("*/000003.png")
    left = [f"made/2/{file.parent.name}/000099.png", "made/2/0123456789abcdef/000003.png", "made/9/x/000003.png"]
    for name in left:
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, own / name)
    code, lines = said(capsys, "verify", own)
    assert code == 0, "nothing of the index is wrong"
    words = "of other layers or weights than the index has; --repair removes it"
    assert sorted(lines) == sorted([*(f"{name}: {words}" for name in left), "every file is as it was written"])
    assert said(capsys, "verify", own, "--repair")[0] == 0
    assert not any((own / name).exists() for name in left)
    with indexer.open(own) as index:
        assert kept_optimal(index, "2", 3) is not None


def test_info_counts_them(own: Path) -> None:
    kinds = bytes_by_kind(own, read_manifest(own))
    assert kinds["made images"] == sum(path.stat().st_size for path in (own / "made").rglob("*.png"))
    assert sum(kinds.values()) == sum(path.stat().st_size for path in own.rglob("*") if path.is_file())


def test_they_are_in_the_page_and_in_exports(own: Path, tmp_path: Path) -> None:
    with indexer.open(own) as index:
        page = write_page(index, count=6, columns=2)
        kept = {neuron: kept_optimal(index, "2", neuron) for neuron in (0, 3)}
        for neuron, one in kept.items():
            assert one is not None
            figure = re.search(rf'alt="Image made for neuron {neuron}">\s*<figcaption>made, ([\d.]+)<', page)
            assert figure
            assert figure[1] == f"{one.about['trust']['transformed_ratio']:.2f}"
        assert page.count('<li class="made">') == 2
        export_patches(index, "2", [3, 1], tmp_path / "out", top=2)
        categories = json.loads((tmp_path / "out" / "labels.json").read_text())["categories"]
        assert [one.get("made") for one in categories] == ["made/3.png", None]
        assert (tmp_path / "out" / "made" / "3.png").read_bytes() == kept[3].data
        next((own / "made").rglob("000003.png")).write_bytes(b"")
        with pytest.raises(DamagedFile, match=r"000003\.png"):
            write_page(index, count=6, columns=2)
