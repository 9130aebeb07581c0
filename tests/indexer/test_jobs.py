"""Jobs on real files: what they leave behind, resume, refuse and repair."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import indexer
from indexer.cli import main
from indexer.errors import (
    BadActivations,
    ConfigurationMismatch,
    DamagedFile,
    IndexBusy,
    InvalidRequest,
    ModelUnavailable,
    NotAnIndex,
    NotFound,
)  # fmt: skip
from indexer.images import reading
from indexer.images.preprocessing import Preprocessing
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add, build
from indexer.jobs.info import describe, skipped_images
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline import forwarding, write_shards
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.network.forward import Network
from indexer.shards.reduce_gpu import CountTable
from indexer.shards.writer import ShardWriter
from tests.conftest import build_request, moved_index, write_photos

TINY = {"model": "tests.own_models:small", "weights": "none", "layers": ("0", "1", "5"), "preprocessing": {}}
"""A job that takes no time; layer 5 is one of one cell."""


def tiny_build(index: Path, photos: Path, **changes: object):
    return build(index, build_request(photos, **(TINY | {"shard_size": 5, "batch_size": 2} | changes)))


def answers(path: Path) -> dict[str, object]:
    """Everything an index knows, by path of the image: equal answers mean equal indexes."""
    with indexer.open(path) as index:
        records = index.find_images(limit=1000).items
        found: dict[str, object] = {"images": [(r.path, r.class_, r.width, r.height, r.sha256) for r in records]}
        for layer in index.layers:
            found[f"{layer} maps"] = [index.activation_maps(r.id, layer).tolist() for r in records]
            found[f"{layer} statistics"] = {k: v.tolist() for k, v in index.neuron_statistics(layer).items()}
            neurons = range(index.layer(layer).info.channels)
            tops = [index.top_patches(layer, neuron, limit=99).items for neuron in neurons]
            found[f"{layer} top"] = [
                [(p.image.path, p.y, p.x, p.activation, p.percentile) for p in top] for top in tops
            ]
            patches = index.nearest(layer, np.ones(index.layer(layer).info.channels), limit=9).items
            found[f"{layer} near"] = [(p.image.path, p.y, p.x, round(p.score, 4)) for p in patches]
        found["firing"] = [[(f.layer, f.neuron) for f in index.neurons_firing(r.id, limit=999).items] for r in records]
    return found


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", seed=5, count=13)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    tiny_build(folder / "index", write_photos(folder / "photos", seed=5, count=13))
    return folder / "index"


@pytest.fixture
def index(tmp_path: Path, photos: Path, built: Path) -> Path:
    return moved_index(built, photos, tmp_path / "index")


def files_of(index: Path) -> set[str]:
    return {str(path.relative_to(index)) for path in index.rglob("*") if path.is_file()}


def test_what_a_build_leaves_behind(index: Path) -> None:
    manifest = json.loads((index / "manifest.json").read_text())
    assert (manifest["generation"], manifest["images"], manifest["next_id"]) == (1, 13, 13)
    assert [shard["rows"] for shard in manifest["shards"]] == [5, 5, 3]
    assert files_of(index) == {
        "manifest.json", "lock", *(f"shards/{number:06d}.h5" for number in range(3)), "derived/000001/images.h5",
        *(f"derived/000001/{layer}.{suffix}" for layer in "015" for suffix in ("h5", "faiss")),
    }  # fmt: skip
    assert verify(index) == []


def test_building_again_changes_nothing(index: Path, photos: Path) -> None:
    before = {name: (index / name).read_bytes() for name in files_of(index)}
    tiny_build(index, photos)
    assert {name: (index / name).read_bytes() for name in files_of(index)} == before


def test_two_builds_are_equal_byte_for_byte(index: Path, photos: Path, tmp_path: Path) -> None:
    tiny_build(tmp_path / "other", photos)
    for name in files_of(index) - {"lock"}:
        assert (index / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


def test_layers_do_not_depend_on_their_company(index: Path, photos: Path, tmp_path: Path) -> None:
    tiny_build(tmp_path / "alone", photos, layers=("0",))
    with indexer.open(index) as both, indexer.open(tmp_path / "alone") as alone:
        assert (both.activation_maps(3, "0") == alone.activation_maps(3, "0")).all()
        assert (both.activation_maps(3, "0") < 0).any(), "an in-place ReLU behind the layer has rewritten it"


@pytest.mark.parametrize("room", [True, False])
def test_what_a_gpu_does_writes_the_same(
    index: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    """Maps that are equal are kept equally, counted there or here; all of it runs on the CPU."""

    def tables(network: Network) -> forwarding.Tables:
        return {layer: CountTable(shape[0], network.device) for layer, shape in network.shapes.items() if room}

    monkeypatch.setattr(write_shards, "tables_of", tables)
    monkeypatch.setattr(forwarding, "works_by_itself", lambda network: True)
    monkeypatch.setattr(forwarding, "reduce_maps", None)
    tiny_build(tmp_path / "index", photos)
    for file in (index / "shards").iterdir():
        assert file.read_bytes() == (tmp_path / "index" / "shards" / file.name).read_bytes()


@pytest.mark.parametrize("fail_at", [0, 3, 6])
def test_an_interrupted_build_resumes(
    index: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    calls = iter(range(100))
    real = forwarding.reduce_maps

    def failing(*arguments: object):
        if next(calls) == 3 * fail_at:
            raise OSError("no space left on device")
        return real(*arguments)

    monkeypatch.setattr(forwarding, "reduce_maps", failing)
    other = tmp_path / "other"
    with pytest.raises(OSError, match="no space"):
        tiny_build(other, photos)
    with pytest.raises(NotAnIndex):
        indexer.open(other)
    assert not list(other.rglob("*.partial"))
    monkeypatch.undo()
    Image.new("RGB", (30, 20)).save(photos / "birds" / "aaa new.png")  # not in the plan
    tiny_build(other, photos)
    assert (other / "plan.jsonl").exists() is False
    for name in files_of(index) - {"lock"}:
        assert (index / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize("call", range(7))
def test_no_failure_while_writing_is_lost(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Above all not that of the last batch of a shard, or of the last shard."""
    calls = iter(range(100))
    real = ShardWriter.add

    def failing(*arguments: object) -> None:
        if next(calls) == call:
            raise OSError("no space left on device")
        real(*arguments)

    monkeypatch.setattr(ShardWriter, "add", failing)
    with pytest.raises(OSError, match="no space"):
        tiny_build(tmp_path / "index", photos)
    assert not list(tmp_path.rglob("*.partial"))
    assert len(list((tmp_path / "index" / "shards").iterdir())) <= call // 3, "the shard that lacks images is there"


def test_an_unfinished_job_is_not_taken_over_by_another(photos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(forwarding, "reduce_maps", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tiny_build(tmp_path / "index", photos)
    monkeypatch.undo()
    with pytest.raises(ConfigurationMismatch, match=r"unfinished job.*layers: .*there.*here"):
        tiny_build(tmp_path / "index", photos, layers=("0",))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"layers": ("0", "3")}, r"layers: \['0 \(6, 10, 14\)', .*\] there, \['0 \(6, 10, 14\)', '3 .*'\] here"),
        ({"preprocessing": {"resize": (40,)}}, r"preprocessing.resize: \[24\] there, \[40\] here"),
        ({"model": "tests.own_models:large"}, "model.name: tests.own_models:small there"),
        ({"keep_images": True}, "keep_images: False there, True here"),
    ],
)
def test_another_configuration_is_refused(index: Path, photos: Path, changes: dict, difference: str) -> None:
    before = (index / "manifest.json").read_bytes()
    with pytest.raises(ConfigurationMismatch, match=difference):
        tiny_build(index, photos, **changes)
    assert (index / "manifest.json").read_bytes() == before


def test_adding_equals_building_all_at_once(photos: Path, tmp_path: Path) -> None:
    tiny_build(tmp_path / "once", photos, batch_size=1)  # what shares a batch moves the last bit
    late = sorted((photos / "boats").iterdir())
    (tmp_path / "aside").mkdir()
    for path in late:
        path.rename(tmp_path / "aside" / path.name)
    tiny_build(tmp_path / "grown", photos, batch_size=1)
    for path in late:
        (tmp_path / "aside" / path.name).rename(path)
    manifest = add(tmp_path / "grown")
    assert (manifest.generation, manifest.images, manifest.next_id) == (2, 13, 13)
    once, grown = answers(tmp_path / "once"), answers(tmp_path / "grown")
    assert once["images"] == grown["images"]
    assert once["1 statistics"] == grown["1 statistics"]
    assert once["firing"] == grown["firing"]
    assert add(tmp_path / "grown").generation == 2, "nothing new, nothing published"


def test_adding_from_a_list_with_other_classes(index: Path, photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (9, 200, 30)).save(photos / "new.png")
    (tmp_path / "list.jsonl").write_text('{"path": "new.png", "class": "fish"}\n')
    add(index, tmp_path / "list.jsonl")
    with indexer.open(index) as opened:
        assert opened.classes == ["birds", "boats", "fish"]
        assert [image.id for image in opened.find_images(class_="fish").items] == [13]
    with pytest.raises(InvalidRequest, match="is not that folder"):
        add(index, tmp_path)


def test_a_removed_image_is_in_no_answer(photos: Path, tmp_path: Path) -> None:
    index = tmp_path / "single"
    tiny_build(index, photos, batch_size=1)  # what shares a batch moves the last bit
    gone = ["birds/photo 002.png", "boats/photo 007.png"]
    remove(index, paths=gone, ids=[12])
    for path in [*gone, "boats/photo 011.png"]:
        (photos / path).unlink()
    tiny_build(tmp_path / "without", photos, batch_size=1)
    left, expected = answers(index), answers(tmp_path / "without")
    assert left == expected
    with indexer.open(index) as opened, pytest.raises(NotFound, match="no image 12"):
        opened.image(12)
    marker = {path: (index / path).read_bytes() for path in files_of(index) if path.startswith("shards")}
    manifest = compact(index)
    assert manifest.removed == []
    assert answers(index) == expected
    assert verify(index) == []
    left_over = b"".join((index / path).read_bytes() for path in files_of(index))
    assert b"photo 007" in b"".join(marker.values())
    assert b"photo 007" not in left_over
    assert add(index).images == 10, "ids are never reused, and what is gone from the folder does not come back"


@pytest.mark.parametrize("compacted", [False, True])
def test_a_removed_image_stays_out_until_it_is_named(
    index: Path, photos: Path, capsys: pytest.CaptureFixture, compacted: bool
) -> None:
    held = [f"birds/photo {number:03}.png" for number in (0, 2, 4)]
    remove(index, paths=held)
    if compacted:
        compact(index)
    assert add(index).generation == 2 + compacted, "nothing to add, nothing published"
    Image.new("RGB", (30, 20), (9, 200, 30)).save(photos / "boats" / "new.png")
    assert main(["add", str(index)]) == 0
    assert "left out: 3 images that were removed" in capsys.readouterr().err
    with pytest.raises(NotFound, match=r"no image birds/photo 0 below"):
        add(index, again=["birds/photo 0"])
    for again, images in ((held[0], 12), ("birds", 14)):
        assert main(["add", str(index), "--again", again]) == 0
        assert read_manifest(index).images == images
    assert main(["add", str(index), "--again", "birds"]) == 0, "as after an interruption"
    manifest = read_manifest(index)
    assert (manifest.images, manifest.left_out) == (14, [])
    with indexer.open(index) as opened:
        assert [opened.find_images(path=path).items[0].id for path in held] == [14, 15, 16]


def test_a_class_can_be_removed_but_not_everything(index: Path) -> None:
    with pytest.raises(NotFound, match="no class 'fish'"):
        remove(index, class_="fish")
    with pytest.raises(NotFound, match=r"not in the index: 99, nowhere\.png"):
        remove(index, ids=[1, 99], paths=["nowhere.png"])
    with pytest.raises(InvalidRequest, match="every image"):
        remove(index, ids=list(range(13)))
    with pytest.raises(InvalidRequest, match="name the images"):
        remove(index)
    assert remove(index, class_="boats").images == 7
    with indexer.open(index) as opened:
        assert opened.classes == ["birds"]


def test_bad_files_are_skipped_and_listed(photos: Path, tmp_path: Path) -> None:
    (photos / "birds" / "a.jpg").write_bytes(b"no image")
    (photos / "birds" / "z.jpg").write_bytes(b"")
    manifest = tiny_build(tmp_path / "index", photos)
    assert (manifest.images, manifest.next_id) == (13, 15)
    assert [path for path, _ in skipped_images(tmp_path / "index")] == ["birds/a.jpg", "birds/z.jpg"]
    assert dict(skipped_images(tmp_path / "index"))["birds/z.jpg"] == "the file is empty"
    with indexer.open(tmp_path / "index") as opened:
        assert [image.id for image in opened.find_images(limit=99).items] == [i for i in range(15) if i not in (0, 8)]
    for path in photos.rglob("*.png"):
        path.unlink()
    with pytest.raises(NotFound, match="none of the 2 images"):
        tiny_build(tmp_path / "nothing", photos)


def test_what_cannot_be_used_publishes_nothing(index: Path, photos: Path, capsys: pytest.CaptureFixture) -> None:
    (photos / "birds" / "a.jpg").write_bytes(b"no image")
    before = {name: (index / name).read_bytes() for name in files_of(index)}
    for _ in range(2):
        assert main(["add", str(index)]) == 0
        assert "  skipped birds/a.jpg: not an image that can be read" in capsys.readouterr().out
        assert {name: (index / name).read_bytes() for name in files_of(index)} == before
    Image.new("RGB", (30, 20), (9, 200, 30)).save(photos / "birds" / "a.jpg")
    assert add(index).images == 14
    with indexer.open(index) as opened:
        assert [image.id for image in opened.find_images(path="birds/a.jpg").items] == [13]
    assert skipped_images(index) == []


def test_a_build_without_a_usable_image_can_be_tried_again(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(NotFound, match="none of the 1 images"):
        tiny_build(tmp_path / "index", tmp_path / "photos")
    Image.new("RGB", (30, 20)).save(tmp_path / "photos" / "a.jpg")
    assert tiny_build(tmp_path / "index", tmp_path / "photos").images == 1


def test_what_is_no_file_is_skipped(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody writes to would keep the job waiting for ever."""
    os.mkfifo(photos / "boats" / "pipe.png")
    (photos / "boats" / "large.png").write_bytes(b"x" * 200_000)
    (photos / "boats" / "nowhere.png").symlink_to("missing.png")
    monkeypatch.setattr(reading, "MAX_BYTES", 200_000 - 1)
    assert tiny_build(tmp_path / "index", photos).images == 13
    assert dict(skipped_images(tmp_path / "index")) == {
        "boats/large.png": "cannot be read (too large for an image: it has 200000 bytes, at most 199999 are read)",
        "boats/nowhere.png": "cannot be read (No such file or directory)",
        "boats/pipe.png": "cannot be read (not a regular file)",
    }


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch])
def test_no_file_stays_open_that_could_not_be_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.png")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with contextlib.suppress(OSError):
            reading.read_file(tmp_path / "a.png")
    assert len(os.listdir("/proc/self/fd")) == before


def test_nan_names_the_layer_and_the_image(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (255, 255, 255)).save(photos / "boats" / "white.png")
    strict = {"limits": Limits(bad_images=0)}
    with pytest.raises(BadActivations, match=r"layer '0', neuron 0 gives NaN.*boats/white.png"):
        tiny_build(tmp_path / "index", photos, model="tests.own_models:poisoned", layers=("0",), **strict)
    (photos / "boats" / "white.png").unlink()
    (tmp_path / "index" / "plan.jsonl").unlink()
    assert tiny_build(tmp_path / "index", photos, model="tests.own_models:poisoned", layers=("0",)).images == 13


def test_saturation_is_counted_and_peaks_keep_their_value(photos: Path, tmp_path: Path, capsys) -> None:
    tiny_build(tmp_path / "index", photos, model="tests.own_models:large", layers=("1",))
    with indexer.open(tmp_path / "index") as opened:
        assert opened.top_patches("1", 2, limit=1).items[0].activation > 65504
        assert opened.top_patches("1", 2, limit=1, per_image="all").items[0].activation == 65504
    main(["info", str(tmp_path / "index")])
    main(["remove", str(tmp_path / "index"), "--id", "0"])
    assert "activations were clipped to the range of float16" in capsys.readouterr().out


def test_neurons_that_are_never_positive_and_ties(index: Path) -> None:
    with indexer.open(index) as opened:
        assert opened.neuron_statistics("0")["dead"].tolist()[:2] == [True, False]
        negative = opened.top_patches("0", 0, limit=99)
        assert len(negative.items) == negative.total == 13
        assert all(patch.activation < -90 for patch in negative.items)
        zero = opened.top_patches("1", 0, limit=99).items
        assert [(p.image.id, p.y, p.x, p.activation) for p in zero] == [(id, 0, 0, 0.0) for id in range(13)]
        constant = opened.top_patches("1", 1, limit=30, per_image="all").items
        assert [(p.image.id, p.y, p.x) for p in constant] == [
            (id, y, x) for id in range(13) for y in range(10) for x in range(14)
        ][:30]
        assert not any(f.neuron == 0 and f.layer in "01" for f in opened.neurons_firing(3, limit=99).items)


def test_an_index_of_one_image(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    Image.new("RGB", (33, 21), (200, 30, 90)).save(folder / "only.png")
    tiny_build(tmp_path / "index", folder)
    with indexer.open(tmp_path / "index") as opened:
        assert opened.classes == []
        assert opened.find_images().items[0].class_ is None
        patch = opened.top_patches("5", 0).items[0]
        assert (patch.y, patch.x, patch.percentile) == (0, 0, 0.0)
        assert opened.similar("0", 0, 2, 3).items[0].score == pytest.approx(1)
        assert opened.top_classes("0", 2) == []


def test_one_job_at_a_time(index: Path) -> None:
    with (index / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for job in (add, compact, repair, lambda path: remove(path, ids=[1])):
            with pytest.raises(IndexBusy, match="another job is writing"):
                job(index)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    path.write_bytes(b"not what it says" * 100)


def _newer(path: Path) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99


DAMAGE: list[tuple[Callable[[Path], None], str]] = [
    (_truncate, "truncated"), (_flip, "sha256"), (_foreign, "not an HDF5 file"), (_newer, "format version 99"),
    (Path.unlink, "missing"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "cause"), DAMAGE)
def test_a_damaged_shard_is_named_and_rebuilt_alone(index: Path, damage: Callable, cause: str) -> None:
    before = {name: (index / name).read_bytes() for name in files_of(index) if name.startswith("shards")}
    expected = answers(index)
    damage(index / "shards" / "000001.h5")
    [fault] = verify(index)
    assert fault.file == "shards/000001.h5"
    assert cause in fault.cause
    assert main(["verify", str(index)]) == 1
    manifest = repair(index)
    assert manifest.generation == 2
    assert {name: (index / name).read_bytes() for name in before} == before
    assert answers(index) == expected
    assert verify(index) == []


def test_a_rebuilt_shard_holds_no_image_that_is_another_now(index: Path, photos: Path) -> None:
    with indexer.open(index) as opened:
        before = {image.id: image for image in opened.find_images(limit=99).items}
    Image.new("RGB", (30, 20)).save(photos / before[6].path)
    (photos / before[7].path).unlink()
    (photos / before[8].path).write_bytes(b"no image")
    Path.unlink(index / "shards" / "000001.h5")
    repair(index)
    with indexer.open(index) as opened:
        after = {image.id: image for image in opened.find_images(limit=99).items}
        assert after == {id: image for id, image in before.items() if id not in (6, 7, 8)}
        assert all(opened.picture(image).size == (image.width, image.height) for image in after.values())
    changed = "has changed since it was indexed"
    assert skipped_images(index) == [
        (before[6].path, changed), (before[7].path, "cannot be read (No such file or directory)"),
        (before[8].path, changed),
    ]  # fmt: skip
    add(index)
    with indexer.open(index) as opened:
        [anew] = opened.find_images(path=before[6].path).items
        assert (anew.id, opened.picture(anew).size) == (13, (30, 20))
    assert before[6].path not in dict(skipped_images(index)), "it has been used since"


@pytest.mark.parametrize("change", ["removed", "another now"])
def test_a_damaged_shard_without_an_image_to_rebuild_is_dropped(index: Path, photos: Path, change: str) -> None:
    with indexer.open(index) as opened:
        held = [opened.image(id).path for id in range(5, 10)]
    if change == "removed":
        remove(index, paths=held)
    else:
        for path in held:
            Image.new("RGB", (30, 20)).save(photos / path)
    _truncate(index / "shards" / "000001.h5")
    assert main(["verify", str(index), "--repair"]) == 0
    assert verify(index) == []
    with indexer.open(index) as opened:
        assert [image.id for image in opened.find_images(limit=99).items] == [*range(5), *range(10, 13)]
    assert [path.name for path in sorted((index / "shards").iterdir())] == ["000000.h5", "000002.h5"]
    assert set(dict(skipped_images(index))) == (set(held) if change == "another now" else set())


def test_a_repair_leaves_an_index_that_would_be_empty(tmp_path: Path, photos: Path) -> None:
    tiny_build(tmp_path / "index", photos, shard_size=20)
    for path in photos.rglob("*.png"):
        Image.new("RGB", (30, 20)).save(path)
    _truncate(tmp_path / "index" / "shards" / "000000.h5")
    before = (tmp_path / "index" / "manifest.json").read_bytes()
    with pytest.raises(InvalidRequest, match="build the index again"):
        repair(tmp_path / "index")
    assert (tmp_path / "index" / "manifest.json").read_bytes() == before


def test_a_generation_never_reads_a_shard_that_was_rebuilt_without_some_images(index: Path, photos: Path) -> None:
    with indexer.open(index) as opened:
        expected = opened.activation_maps(5, "1")
        (photos / opened.image(6).path).unlink()
    (index / "shards" / "000001.h5").unlink()
    with indexer.open(index) as before:
        repair(index)
        for image in range(5, 10):
            with pytest.raises(DamagedFile, match=r"shards/000001.h5: holds 4 images, the manifest says 5"):
                before.activation_maps(image, "1")
    with indexer.open(index) as after:
        np.testing.assert_array_equal(after.activation_maps(5, "1"), expected)


def test_no_shard_is_rebuilt_from_a_disk_that_is_not_there(index: Path, photos: Path) -> None:
    expected = answers(index)
    photos.rename(photos.parent / "away")
    _truncate(index / "shards" / "000001.h5")
    for make in (lambda: None, photos.mkdir):
        make()
        with pytest.raises(InvalidRequest, match="there is nothing at"):
            repair(index)
    photos.rmdir()
    (photos.parent / "away").rename(photos)
    repair(index)
    assert answers(index) == expected


@pytest.mark.parametrize(("damage", "cause"), DAMAGE)
def test_a_damaged_shard_costs_only_its_own_maps(index: Path, damage: Callable, cause: str) -> None:
    damage(index / "shards" / "000001.h5")
    with indexer.open(index) as opened:
        assert len(opened.top_patches("1", 3, limit=99).items) == 13
        assert opened.activation_maps(1, "1").shape == (6, 10, 14)
        if damage is not _flip:  # a flipped byte may lie anywhere; verify is what finds it
            with pytest.raises(indexer.errors.DamagedFile, match=rf"shards/000001.h5: .*{cause}"):
                opened.activation_maps(6, "1")


@pytest.mark.parametrize("name", ["images.h5", "1.h5", "1.faiss"])
@pytest.mark.parametrize(("damage", "cause"), DAMAGE)
def test_damaged_derived_files(index: Path, name: str, damage: Callable, cause: str) -> None:
    expected = answers(index)
    file = index / "derived" / "000001" / name
    if damage is _newer and name.endswith("faiss"):
        pytest.skip("FAISS files carry no version of ours")
    damage(file)
    assert [fault.file for fault in verify(index)] == [f"derived/000001/{name}"]
    if damage is not _flip:
        with pytest.raises(indexer.errors.DamagedFile, match=rf"derived/000001/{name}: "):
            answers(index)
    repair(index)
    assert answers(index) == expected


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[]", "not the manifest"),
        ('{"format": "unitscope index", "version": 4}', "format version 4, this program reads version 3$"),
        ('{"format": "unitscope index", "version": 3}', "lacks or garbles a field"),
    ],
)
def test_a_damaged_manifest(index: Path, text: str, cause: str) -> None:
    (index / "manifest.json").write_text(text)
    with pytest.raises(indexer.errors.DamagedFile, match=rf"manifest.json: .*{cause}"):
        indexer.open(index)


def test_a_manifest_cannot_name_files_elsewhere(index: Path) -> None:
    manifest = json.loads((index / "manifest.json").read_text())
    manifest["derived"]["images"] = "../../etc/passwd"
    (index / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(indexer.errors.DamagedFile, match="outside the index"):
        indexer.open(index)


def test_originals_are_checked_before_they_are_shown(index: Path, photos: Path, tmp_path: Path) -> None:
    with indexer.open(index) as opened:
        image = opened.image(2)
        assert opened.original(image) == (photos / image.path).read_bytes()
        Image.new("RGB", (image.width, image.height)).save(photos / image.path)
        with pytest.raises(indexer.errors.ImageUnavailable, match="has changed") as caught:
            opened.picture(image)
        assert caught.value.changed
        (photos / image.path).unlink()
        with pytest.raises(indexer.errors.ImageUnavailable, match="no longer there") as caught:
            opened.picture(image)
        assert not caught.value.changed
        (photos / image.path).symlink_to("/etc/hostname")
        with pytest.raises(indexer.errors.ImageUnavailable, match="no longer there"):
            opened.original(image)
    shutil.move(photos, tmp_path / "moved")
    moved = pytest.raises(indexer.errors.ImageUnavailable, match="nor is the folder that all were in; --images says")
    with indexer.open(index) as opened, moved:
        opened.picture(opened.image(3))
    with indexer.open(index, images=tmp_path / "moved") as opened:
        assert opened.picture(opened.image(3)).size == (opened.image(3).width, opened.image(3).height)


def test_adding_after_the_folder_moved_needs_a_link(index: Path, photos: Path, tmp_path: Path) -> None:
    shutil.move(photos, tmp_path / "moved")
    for images in (None, tmp_path / "moved"):
        with pytest.raises(InvalidRequest, match=f"{photos}, .* no longer there; put a symbolic link there"):
            add(index, images)
    photos.symlink_to(tmp_path / "moved", target_is_directory=True)
    write_photos(photos / "new", seed=9, count=1)
    assert add(index).images == 14
    with indexer.open(index) as opened:
        assert opened.picture(opened.image(13)).size == (opened.image(13).width, opened.image(13).height)


@pytest.mark.parametrize("sizes", ["wide", "224x", "2.5", ""])
def test_sizes_that_are_none_are_named(sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["build", "photos", "--model", "alexnet", "--out", "index", "--crop", sizes])
    assert (
        f"argument --crop: must be a number or HEIGHTxWIDTH, such as 224x288, or none, not {sizes!r}"
        in capsys.readouterr().err
    )


def test_kept_images_need_no_folder(photos: Path, tmp_path: Path) -> None:
    tiny_build(tmp_path / "index", photos, keep_images=True)
    expected = {path.relative_to(photos).as_posix(): path.read_bytes() for path in photos.rglob("*.png")}
    remove(tmp_path / "index", ids=[4])
    compact(tmp_path / "index")
    shutil.rmtree(photos)
    with indexer.open(tmp_path / "index") as opened:
        for image in opened.find_images(limit=99).items:
            assert opened.original(image) == expected[image.path]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": "squeezenet9"}, InvalidRequest, "no torchvision classification model is called 'squeezenet9'"),
        ({"model": "tests.nowhere:small"}, InvalidRequest, "cannot be imported"),
        ({"model": ":small"}, InvalidRequest, "names no module"),
        ({"model": "tests.own_models:PREPROCESSING"}, InvalidRequest, "a dict, not a callable"),
        ({"model": "tests.own_models:nothing"}, InvalidRequest, "not a torch.nn.Module"),
        ({"model": "tests.own_models:unknown_preprocessing"}, InvalidRequest, "no way back to the original pixels"),
        ({"layers": ("features",)}, InvalidRequest, "the model has no module 'features'; it has"),
        ({"layers": ("0", "0")}, InvalidRequest, "named twice"),
        ({"layers": ("act",), "model": "tests.own_models:twice"}, InvalidRequest, "'act' runs 2 times"),
        ({"weights": "/nowhere/weights.pth"}, ModelUnavailable, "no weights file /nowhere/weights.pth"),
        ({"preprocessing": {"resize": (0,)}}, InvalidRequest, "positive whole number"),
        ({"preprocessing": {"crop": (4, 4)}, "layers": ()}, InvalidRequest, "of height 4 and width 4"),
        ({"preprocessing": {"crop": (4, 4)}}, InvalidRequest, "of height 4 and width 4"),
        (
            {"preprocessing": {"crop": (99999999, 9999999)}},
            InvalidRequest,
            "crop must be at most 67108864 pixels in all and",
        ),
        ({"preprocessing": {"crop": (8192, 8193)}}, InvalidRequest, "not 8192 x 8193"),
        ({"preprocessing": {"crop": (20, 65537)}}, InvalidRequest, "pixels in all and 65536 a side, not 20 x 65537"),
        ({"preprocessing": {"resize": (8193,)}}, InvalidRequest, "resize must be at most 67108864 pixels in all"),
        ({"preprocessing": {"resize": (65537, 28)}}, InvalidRequest, "not 65537 x 28"),
        ({"batch_size": 0}, InvalidRequest, "must be 1 to"),
        ({"batch_size": 10**23}, InvalidRequest, "must be 1 to"),
        ({"shard_size": 10**23}, InvalidRequest, "must be 1 to"),
        ({"shard_size": -1}, InvalidRequest, "must be 1 to"),
        ({"device": "nothing"}, InvalidRequest, "the device 'nothing' cannot be used here"),
        ({"device": "cuda:99"}, InvalidRequest, "the device 'cuda:99' cannot be used here"),
        ({"device": "meta"}, InvalidRequest, "the device 'meta' cannot be used here"),
    ],
)
def test_a_wrong_request_names_what_is_wrong(photos: Path, tmp_path: Path, changes, error, message: str) -> None:
    with pytest.raises(error, match=message):
        tiny_build(tmp_path / "index", photos, **changes)
    assert not (tmp_path / "index" / "plan.jsonl").exists()


def test_the_command_line(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = str(tmp_path / "index")
    (photos / "birds" / "bad.png").write_bytes(b"x")
    arguments = ["build", str(photos), "--out", index, "--model", "tests.own_models:small"]
    assert main([*arguments, "--layers", "0, 5", "--resize", "24", "--crop", "20x28"]) == 0
    printed = capsys.readouterr()
    assert "generation 1, 13 images" in printed.out
    assert "skipped birds/bad.png: not an image" in printed.out
    assert "RANDOM weights" not in printed.err, "a network of one's own may have loaded what it has learned"
    assert main(["info", index, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described == json.loads(json.dumps(describe(Path(index))))
    assert (described["images"], described["skipped"], described["layers"][0]["shape"]) == (13, 1, [6, 10, 14])
    assert main(["info", index, "--skipped"]) == 0
    assert capsys.readouterr().out.startswith("birds/bad.png: ")
    Image.new("RGB", (30, 20)).save(photos / "new.png")
    assert main(["add", index]) == 0
    assert main(["remove", index, "--path", "new.png"]) == 0
    assert main(["compact", index]) == 0
    assert main(["verify", index]) == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "nowhere")]) == 1
    assert "holds no index" in capsys.readouterr().err


def test_random_weights_are_said(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", str(photos), "--out", str(tmp_path / "index"), "--model", "squeezenet1_1"]
    assert main([*arguments, "--weights", "none", "--layers", "features.2", "--crop", "20x28"]) == 0
    assert "RANDOM weights" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["99999999x9999999", "70000x32"])
@pytest.mark.parametrize("option", ["--crop", "--resize"])
def test_an_input_of_too_many_pixels_is_refused_in_a_line(
    photos: Path, tmp_path: Path, option: str, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "index"
    arguments = ["build", str(photos), "--out", str(index), "--model", "tests.own_models:small", "--weights", "none"]
    assert main([*arguments, "--layers", "0", option, size]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"unitscope: {option}: {option[2:]} must be at most ")
    assert line.endswith(f"not {size.replace('x', ' x ')}")
    assert not (index / "plan.jsonl").exists()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError("CUDA")]
)
def test_too_little_memory_is_said_in_a_line(
    photos: Path, tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pixels(self: Preprocessing, picture: Image.Image) -> np.ndarray:
        raise error

    arguments = ["build", str(photos), "--out", str(tmp_path / "index"), "--model", "tests.own_models:small"]
    with monkeypatch.context() as patch:
        patch.setattr(Preprocessing, "pixels", pixels)
        assert main([*arguments, "--weights", "none", "--layers", "0"]) == 1
    assert "unitscope: there is not enough memory" in capsys.readouterr().err.splitlines()[-1]
    assert main([*arguments, "--weights", "none", "--layers", "0"]) == 0, "it is finished where it stopped"


@pytest.mark.parametrize("command", [("add",), ("compact",), ("remove", "--id", "1")])
def test_nothing_is_left_where_there_is_no_index(tmp_path: Path, command: tuple[str, ...], capsys) -> None:
    assert main([*command, str(tmp_path / "misspelt")]) == 1
    assert "holds no index" in capsys.readouterr().err
    assert not (tmp_path / "misspelt").exists()


def test_weights_that_are_not_those_of_the_index(index: Path, photos: Path, tmp_path: Path) -> None:
    import torch

    from tests.own_models import small

    torch.manual_seed(99)
    torch.save(small()[0].state_dict(), tmp_path / "other.pth")
    Image.new("RGB", (30, 20)).save(photos / "new.png")
    with pytest.raises(ConfigurationMismatch, match="are not those of the index"):
        add(index, weights=str(tmp_path / "other.pth"))
    (tmp_path / "junk.pth").write_bytes(b"junk")
    with pytest.raises(InvalidRequest, match="weights_only"):
        add(index, weights=str(tmp_path / "junk.pth"))
    torch.save({"0.weight": torch.zeros(1)}, tmp_path / "short.pth")
    with pytest.raises(InvalidRequest, match="does not fit"):
        add(index, weights=str(tmp_path / "short.pth"))


def test_request_is_a_plain_value() -> None:
    request = build_request(Path("x"))
    assert replace(request, batch_size=3).batch_size == 3
