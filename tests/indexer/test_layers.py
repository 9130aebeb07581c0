"""Layers added to an index, or dropped: the same answers as from an index that was built so."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.cli import main
from indexer.errors import ConfigurationMismatch, DamagedFile, InvalidRequest, NotFound
from indexer.index.manifest import read_manifest
from indexer.jobs import layers as job
from indexer.jobs.build import add, build
from indexer.jobs.info import skipped_images
from indexer.jobs.layers import add_layers, drop_layers
from indexer.jobs.reporter import Reporter
from indexer.jobs.space import bytes_by_kind
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.query.sandbox import examine
from tests.conftest import build_request, write_photos
from tests.indexer.test_jobs import TINY, answers


def built(index: Path, photos: Path, *layers: str, **changes: object) -> Path:
    build(index, build_request(photos, **TINY | {"shard_size": 5, "batch_size": 2, "layers": layers} | changes))
    return index


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=5, count=12)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    return built(tmp_path_factory.mktemp("whole") / "index", photos, "0", "1", "5")


@pytest.fixture(scope="module")
def two_layers(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    return built(tmp_path_factory.mktemp("two layers") / "index", photos, "0", "1")


@pytest.fixture
def index(tmp_path: Path, two_layers: Path) -> Path:
    return shutil.copytree(two_layers, tmp_path / "index")


def files_below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def shard_names(index: Path) -> set[str]:
    return {path.name for path in (index / "shards").iterdir()}


def test_an_added_layer_answers_as_if_it_had_been_there(index: Path, whole: Path) -> None:
    shards = files_below(index / "shards")
    first = read_manifest(index)
    added = add_layers(index, ["5"])
    assert files_below(index / "shards").items() > shards.items()
    assert [info.file for info in added.shards] == [info.file for info in first.shards]
    assert answers(index) == answers(whole)
    assert verify(index) == []
    examine(index)
    for layer in ("0", "1"):  # taken over, not derived again
        before, after = (m.derived[f"layer {layer}"] for m in (first, added))
        assert before != after
        assert (index / after).stat().st_ino == (index / before).stat().st_ino


def test_a_dropped_layer_is_gone_and_the_others_stay(index: Path, photos: Path, tmp_path: Path) -> None:
    expected = answers(index)
    shards = files_below(index / "shards")
    add_layers(index, ["5"])
    drop_layers(index, ["5"])
    assert answers(index) == expected
    assert files_below(index / "shards") == shards
    drop_layers(index, ["0"])
    assert answers(index) == answers(built(tmp_path / "alone", photos, "1"))
    assert verify(index) == []


def test_compact_erases_dropped_layers_and_joins_files(index: Path, photos: Path, tmp_path: Path) -> None:
    add_layers(index, ["5", "3"])
    drop_layers(index, ["0", "3"])
    size = bytes_by_kind(index, read_manifest(index))["activations"]
    manifest = compact(index)
    assert all(not info.parts for info in manifest.shards)
    assert {path.name for path in (index / "shards").iterdir()} == {
        Path(file).name for file in manifest.shard_checksums
    }
    assert bytes_by_kind(index, manifest)["activations"] < size / 2
    assert answers(index) == answers(built(tmp_path / "alone", photos, "1", "5"))
    assert verify(index) == []
    assert compact(index).generation == manifest.generation


def test_a_layer_comes_back(index: Path, whole: Path) -> None:
    add_layers(index, ["5"])
    drop_layers(index, ["0"])
    add_layers(index, ["0"])
    ours, theirs = answers(index), answers(whole)
    assert {**ours, "firing": 0} == {**theirs, "firing": 0}  # neurons that fire alike stand in the order of layers
    assert list(indexer.open(index).layers) == ["1", "5", "0"]


def test_images_come_and_go_in_every_file(index: Path, photos: Path, tmp_path: Path) -> None:
    own = shutil.copytree(photos, tmp_path / "photos")
    twin = built(tmp_path / "twin", own, "0", "1", "5")
    ours = built(tmp_path / "ours", own, "0", "1")
    add_layers(ours, ["5"])
    write_photos(own / "more", seed=6, count=4)
    for each in (twin, ours):
        add(each)
        remove(each, ids=[0, 7, 13])
    assert answers(ours) == answers(twin)
    with pytest.raises(InvalidRequest, match="compact it first"):
        add_layers(ours, ["3"])
    for each in (twin, ours):
        compact(each)
    assert answers(ours) == answers(twin)
    add_layers(ours, ["3"])
    assert verify(ours) == []


def test_an_interrupted_run_is_taken_up_again(index: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(index)

    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "derive_and_publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            add_layers(index, ["5"])
    assert answers(index) == before
    made = {path.name: path.stat().st_ino for path in (index / "shards").iterdir()}
    seen: list[int] = []
    add_layers(index, ["5"], reporter=Reporter(progress=seen.append))
    assert {path.name: path.stat().st_ino for path in (index / "shards").iterdir()} == made
    assert seen == [5, 5, 2]
    assert answers(index) == answers(whole)


def test_files_of_another_interrupted_run_are_not_taken(index: Path, whole: Path, tmp_path: Path) -> None:
    other = shutil.copytree(index, tmp_path / "other")
    add_layers(other, ["3"])
    for path in (other / "shards").iterdir():
        if not (index / "shards" / path.name).exists():
            shutil.copy(path, index / "shards")
    add_layers(index, ["5"])
    assert answers(index) == answers(whole)


@pytest.mark.parametrize("number", [0, 4], ids=["its own file", "a part"])
def test_repair_makes_a_damaged_shard_anew(index: Path, whole: Path, number: int) -> None:
    manifest = add_layers(index, ["5"])
    file = index / "shards" / f"{number:06}.h5"
    file.write_bytes(file.read_bytes()[:-100])
    assert [fault.file for fault in verify(index)] == [f"shards/{number:06}.h5"]
    repaired = repair(index)
    assert verify(index) == []
    assert answers(index) == answers(whole)
    assert sum(bool(info.parts) for info in repaired.shards) == len(manifest.shards) - 1
    assert {path.name for path in (index / "shards").iterdir()} == {
        Path(file).name for file in repaired.shard_checksums
    }


def test_a_part_of_other_images_is_refused(index: Path) -> None:
    manifest = add_layers(index, ["5"])
    one, two = (index / info.parts[0].file for info in manifest.shards[:2])
    shutil.copy(two, one)
    with indexer.open(index) as opened, pytest.raises(DamagedFile, match="holds other images than"):
        opened.activation_maps(0, "5")


def test_originals_must_be_as_they_were(index: Path, photos: Path, tmp_path: Path) -> None:
    own = shutil.copytree(photos, tmp_path / "photos")
    ours = built(tmp_path / "ours", own, "0")
    gone = sorted(own.rglob("*.png"))[3]
    gone.unlink()
    with pytest.raises(InvalidRequest, match=f"1 of the original images are gone.*{gone.name}"):
        add_layers(ours, ["5"])
    assert answers(ours)


def test_images_that_could_not_be_used_stay_left_out(photos: Path, tmp_path: Path) -> None:
    own = shutil.copytree(photos, tmp_path / "photos")
    for path in sorted(own.rglob("*.png"))[:6]:  # more than a shard
        path.write_bytes(b"no picture")
    ours, twin = built(tmp_path / "ours", own, "0"), built(tmp_path / "twin", own, "0", "5")
    add_layers(ours, ["5"])
    assert answers(ours) == answers(twin)
    assert len(skipped_images(ours)) == 6


def test_the_command_that_built_it_still_fits(index: Path, photos: Path) -> None:
    grown, said = add_layers(index, ["5"]), []
    request = build_request(photos, **TINY | {"shard_size": 5, "batch_size": 2, "layers": ("0", "1")})
    assert build(index, request, Reporter(note=said.append)) == grown
    assert "the index has further layers: 5" in said
    with pytest.raises(ConfigurationMismatch, match="has another configuration: layers"):
        built(index, photos, "0", "3")


def test_the_output_layer_may_come_later(index: Path) -> None:
    assert read_manifest(index).output == ""
    assert add_layers(index, ["5"]).output == "5"
    assert drop_layers(index, ["5"]).output == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda index: add_layers(index, []), "name at least one layer"),
        (lambda index: add_layers(index, ["1"]), "has the layer '1' already"),
        (lambda index: add_layers(index, ["nine"]), "nine"),
        (lambda index: drop_layers(index, ["nine"]), "no layer 'nine'; it has 0, 1"),
        (lambda index: drop_layers(index, ["0", "1"]), "delete the index instead"),
    ],
)
def test_refusals_change_nothing(index: Path, call, message: str) -> None:
    before = read_manifest(index)
    with pytest.raises((InvalidRequest, NotFound), match=message):
        call(index)
    assert read_manifest(index) == before


def test_commands(index: Path, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add-layers", str(index), "5"]) == 0
    assert answers(index) == answers(whole)
    assert main(["drop-layers", str(index), "0", "1"]) == 0
    assert main(["drop-layers", str(index), "0"]) == 1
    assert "no layer '0'; it has 5" in capsys.readouterr().err
    with indexer.open(index) as opened:
        assert list(opened.layers) == ["5"]
        assert np.isfinite(opened.activation_maps(0, "5")).all()
