"""The images of an index change where they lie: what build and add say of it, and what relabel takes over."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import indexer
from indexer.cli import main
from indexer.errors import ConfigurationMismatch, DamagedFile, ImageUnavailable, InvalidRequest
from indexer.images.columns import Wanted
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add, build
from indexer.jobs.info import describe
from indexer.jobs.precision_report import ranks_kept
from indexer.jobs.reporter import Reporter
from indexer.jobs.upkeep import relabel as relabelling
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.relabel import relabel
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.network import models
from indexer.query.originals import Originals
from indexer.query.records import ImageRecord, Patch
from tests.conftest import build_request, moved_index, write_photos

TINY = {
    "model": "tests.own_models:small", "weights": "none", "layers": ("0", "5"), "preprocessing": {},
    "shard_size": 5, "batch_size": 2,
}  # fmt: skip


class Said(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(note=self.lines.append)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def tiny(index: Path, images: Path, reporter: Reporter | None = None, **changes: object):
    return build(index, build_request(images, **(TINY | changes)), reporter)


def by_class(path: Path) -> dict[str, object]:
    """Everything that depends on paths and classes, by path: equal answers mean equal indexes."""
    with indexer.open(path) as index:
        images = index.find_images(limit=99).items
        found: dict[str, object] = {"images": sorted((i.path, str(i.class_), i.sha256) for i in images)}
        for class_ in sorted({i.class_ for i in images if i.class_}):
            for layer in index.layers:
                for neuron in range(index.layer(layer).info.channels):
                    top = index.top_patches(layer, neuron, limit=99, class_=class_).items
                    found[f"{class_} {layer} {neuron}"] = sorted(map(_patch, top))
        return found


def _patch(patch: Patch) -> tuple[float, str, int, int]:
    """Equal activations come in the order of ids, which a fresh build gives by path; batches differ by rounding."""
    return -round(patch.activation, 5), patch.image.path, patch.y, patch.x


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", seed=5, count=13)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    tiny(folder / "index", write_photos(folder / "photos", seed=5, count=13))
    return folder / "index"


@pytest.fixture
def index(tmp_path: Path, photos: Path, built: Path) -> Path:
    return moved_index(built, photos, tmp_path / "index")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a network that is loaded is an error."""

    def load(*arguments: object, **options: object) -> None:
        raise AssertionError("the network was loaded")

    monkeypatch.setattr(models, "load_model", load)


def write_list(path: Path, photos: Path, class_of=lambda name: Path(name).parts[0]) -> Path:
    names = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    path.write_text("path,label\n" + "".join(f"{name},{class_of(name)}\n" for name in names))
    return path


def move(photos: Path, name: str, to: str) -> None:
    (photos / to).parent.mkdir(exist_ok=True)
    (photos / name).rename(photos / to)


def change(photos: Path) -> None:
    """Moved into a new class folder, renamed in its own, and two that swapped their names."""
    birds, boats = (sorted((photos / class_).iterdir()) for class_ in ("birds", "boats"))
    move(photos, f"birds/{birds[0].name}", "ships/first.png")
    move(photos, f"birds/{birds[1].name}", "birds/renamed.png")
    move(photos, f"birds/{birds[2].name}", "swapping.png")
    move(photos, f"boats/{boats[0].name}", f"birds/{birds[2].name}")
    move(photos, "swapping.png", f"boats/{boats[0].name}")


def test_moved_files_change_paths_and_classes_as_a_fresh_build_would(index: Path, photos: Path, tmp_path: Path) -> None:
    change(photos)
    done = relabel(index)
    assert (done.moved, done.classes, done.manifest.generation) == (4, 3, 2)
    assert verify(index) == []
    tiny(tmp_path / "fresh", photos)
    assert by_class(index) == by_class(tmp_path / "fresh")
    with indexer.open(index) as opened:
        for image in opened.find_images(limit=99).items:
            assert opened.original(image) == (photos / image.path).read_bytes()
    assert ranks_kept(index)[0].images == 5, "a precision is compared over the first shard's images, where they are now"


def test_relabelling_runs_no_network(index: Path, photos: Path, no_network: None) -> None:
    change(photos)
    assert relabel(index).moved == 4
    again = relabel(index)
    assert (again.moved, again.classes, again.manifest.generation) == (0, 0, 2)


def test_what_was_relabelled_stays_so(index: Path, photos: Path, tmp_path: Path) -> None:
    change(photos)
    relabel(index)
    write_photos(photos / "new", seed=9, count=3, classes=("cars",))
    assert add(index).images == 16
    gone = "ships/first.png"
    remove(index, paths=[gone])
    compact(index)
    (photos / gone).unlink()
    tiny(tmp_path / "fresh", photos)
    expected = by_class(tmp_path / "fresh")
    assert by_class(index) == expected
    manifest = read_manifest(index)
    assert gone.encode() not in (index / manifest.derived["labels"]).read_bytes(), "nothing of a removed image stays"
    for kind in ("shard", "labels", "images"):
        damaged = manifest.shards[0].file if kind == "shard" else manifest.derived[kind]
        (index / damaged).write_bytes(b"junk")
        assert [fault.file for fault in verify(index)] == [damaged]
        manifest = repair(index)
        assert by_class(index) == expected
    assert describe(index)["relabelled"] == manifest.relabelled


def test_names_that_are_lost_are_not_made_up(index: Path, photos: Path) -> None:
    change(photos)
    manifest = relabel(index).manifest
    for file in (manifest.derived["labels"], manifest.derived["images"]):
        (index / file).write_bytes(b"junk")
    with pytest.raises(InvalidRequest, match=r"both damaged, so the paths and classes of 4 images are not known"):
        repair(index)
    with pytest.raises(DamagedFile, match=r"labels\.jsonl"):
        relabelling.read_labels(index, manifest)


def test_a_quick_look_reads_only_what_may_have_moved(index: Path, photos: Path) -> None:
    name = sorted((photos / "birds").iterdir())[0].name
    move(photos, f"birds/{name}", f"boats/{name}x.png")
    read: list[int] = []
    reporter = Reporter(total=read.append)
    done = relabel(index, quick=True, reporter=reporter)
    assert ((done.moved, done.classes), read) == ((1, 1), [1])
    relabel(index, reporter=reporter)
    assert read == [1, 13]


def test_images_that_are_gone_or_changed_keep_what_they_have(index: Path, photos: Path) -> None:
    first, second, *_ = sorted((photos / "birds").iterdir())
    first.unlink()
    second.write_bytes((photos / "boats").joinpath("photo 001.png").read_bytes())
    before, said = by_class(index), Said()
    assert relabel(index, reporter=said).moved == 0
    assert by_class(index) == before
    gone, changed = said.lines
    assert gone.endswith(f"are no longer there, and keep the path and the class that they have: birds/{first.name}")
    assert changed.endswith(f"changed since they were indexed, and have the class of their path: birds/{second.name}")


def test_two_images_never_have_one_path(index: Path, photos: Path) -> None:
    first, second, *_ = sorted((photos / "birds").iterdir())
    first.replace(second)
    with pytest.raises(InvalidRequest, match=rf"birds/{second.name}\) is gone, and another image has its name now"):
        relabel(index)
    remove(index, paths=[f"birds/{second.name}"])
    assert relabel(index).moved == 1


def test_a_list_is_remembered(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, index = write_list(photos / "list.csv", photos), tmp_path / "index"
    write_photos(photos / "others", seed=8, count=3)
    tiny(index, names)
    assert add(index).images == 13, "what is below the root, but not in the list, stays out"
    said = Said()
    tiny(index, names, said)
    assert said.lines[1:] == [], "nothing is new"
    write_list(names, photos, lambda name: "boats" if "photo 004" in name else Path(name).parts[0])
    said = Said()
    tiny(index, names, said)
    assert "3 images there are not in the index: `add" in said.text
    said = Said()
    manifest = add(index, reporter=said)
    assert manifest.images == 16
    assert "1 image of the index has another class there: `relabel" in said.text
    relabel(index)
    tiny(tmp_path / "fresh", names)
    assert by_class(index) == by_class(tmp_path / "fresh")
    assert describe(index)["image_lists"] == [str(names)]
    names.rename(photos / "renamed.csv")
    with pytest.raises(InvalidRequest, match=r"list.csv, the list .* is no longer there; .* add INDEX LIST"):
        add(index)
    manifest = add(index, photos / "renamed.csv")
    assert ([source.path for source in manifest.intake.lists], manifest.images) == ([str(photos / "renamed.csv")], 16)
    add(index)


def test_the_columns_that_were_named_are_remembered(photos: Path, tmp_path: Path) -> None:
    names, index = photos / "list.csv", tmp_path / "index"
    files = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    names.write_text("where;what;path\n" + "".join(f"{file};kind {n % 2};x\n" for n, file in enumerate(files[:9])))
    columns = Wanted("where", "what")
    tiny(index, names, columns=columns)
    names.write_text("where;what;path\n" + "".join(f"{file};kind {n % 3};x\n" for n, file in enumerate(files)))
    assert add(index).images == 13
    relabel(index)
    with indexer.open(index) as opened:
        assert {i.path: i.class_ for i in opened.find_images(limit=99).items} == {
            file: f"kind {n % 3}" for n, file in enumerate(files)
        }
    with pytest.raises(ConfigurationMismatch, match=r"other columns of .*--class-column changes the classes"):
        tiny(index, names, columns=Wanted("where", "path"))


def test_a_list_corrects_the_classes_of_a_folder(index: Path, photos: Path, tmp_path: Path, no_network: None) -> None:
    names = sorted(str(file.relative_to(photos)) for file in photos.rglob("*.png"))
    (tmp_path / "some.csv").write_text("path,class\n" + "".join(f"{name},ducks\n" for name in names[:3]))
    done = relabel(index, tmp_path / "some.csv")
    assert (done.moved, done.classes) == (0, 3)
    assert relabel(index).classes == 0, "the list says the classes from now on"
    with indexer.open(index) as opened:
        assert [i.path for i in opened.find_images(limit=99, class_="ducks").items] == names[:3]


OTHERS = {
    "another folder": lambda photos, tmp: write_photos(tmp / "other", seed=1, count=2),
    "a folder inside": lambda photos, tmp: photos / "birds",
    "the folder around": lambda photos, tmp: tmp,
    "a list of the same images": lambda photos, tmp: write_list(photos / "list.csv", photos),
}


@pytest.mark.parametrize("other", OTHERS)
def test_other_images_are_refused(index: Path, photos: Path, tmp_path: Path, other: str) -> None:
    before = (index / "manifest.json").read_bytes()
    with pytest.raises(ConfigurationMismatch, match=r"is about other images: those of the folder .* `add "):
        tiny(index, OTHERS[other](photos, tmp_path))
    assert (index / "manifest.json").read_bytes() == before


def test_an_unfinished_job_is_not_finished_with_other_images(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, other = tmp_path / "index", write_photos(tmp_path / "other", seed=1, count=9)

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny(index, photos, engine=interrupted)
    with pytest.raises(ConfigurationMismatch, match=r"the unfinished job in .* is about other images"):
        tiny(index, other)
    with pytest.raises(ConfigurationMismatch, match="--max-pixels: 64000000 there, 7 here"):
        tiny(index, photos, max_pixels=7)
    assert tiny(index, photos).images == 13


def test_new_files_are_said(index: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said()
    tiny(index, photos, said)
    assert "not in the index" not in said.text
    write_photos(photos / "new", seed=9, count=1)
    arguments = ["build", str(photos), "--out", str(index), "--model", "tests.own_models:small", "--layers", "0,5"]
    assert main(arguments) == 0
    assert f"1 image there is not in the index: `add {index}` takes it in" in capsys.readouterr().err
    shutil.rmtree(photos / "birds")
    assert main(arguments) == 0
    assert "7 images of the index are no longer there, and 1 image there is not in the index: `relabel" in (
        capsys.readouterr().err
    )
    shutil.rmtree(photos)
    assert main(arguments) == 0
    assert f"is as it was; whether there are new images cannot be seen: {photos}" in capsys.readouterr().err


def test_max_pixels_and_links_are_remembered(photos: Path, tmp_path: Path) -> None:
    from PIL import Image

    away, index = tmp_path / "away", tmp_path / "index"
    away.mkdir()
    Image.new("RGB", (300, 300)).save(away / "large.png")
    (photos / "far").symlink_to(away, target_is_directory=True)
    manifest = tiny(index, photos, follow_links=True, max_pixels=80_000)
    assert (manifest.images, manifest.intake.max_pixels) == (13, 80_000)
    Image.new("RGB", (200, 300)).save(away / "small.png")
    Image.new("RGB", (301, 300)).save(away / "too large.png")
    assert add(index).images == 14
    with indexer.open(index) as opened:
        assert opened.picture(opened.image(15)).size == (200, 300)
    assert [path for path, _ in indexer.jobs.info.skipped_images(index)] == ["far/large.png", "far/too large.png"]


def test_an_index_that_forgot_its_list_asks_for_it(photos: Path, tmp_path: Path) -> None:
    """As those that older programs made."""
    names, index = write_list(photos / "list.csv", photos, lambda name: "x" + name[:4]), tmp_path / "index"
    tiny(index, names)
    manifest = json.loads((index / "manifest.json").read_text())
    del manifest["intake"]
    (index / "manifest.json").write_text(json.dumps(manifest))
    said = Said()
    assert tiny(index, names, said).images == 13
    assert "too old to remember its list: `add" in said.text
    with pytest.raises(InvalidRequest, match="made from a list, and is too old to remember it; name the list"):
        add(index)
    (photos / "new.png").write_bytes((photos / "birds" / "photo 000.png").read_bytes())
    assert add(index, names).intake.lists[0].path == str(names)
    assert add(index).images == 13


def test_links_that_are_followed_may_leave_the_root_but_paths_may_not(tmp_path: Path) -> None:
    root, away = tmp_path / "root", tmp_path / "away"
    root.mkdir(), away.mkdir()
    (away / "a.png").write_bytes(b"bytes")
    (root / "link").symlink_to(away, target_is_directory=True)

    def read(path: str, follow_links: bool) -> bytes:
        record = ImageRecord(0, path, None, 1, 1, hashlib.sha256(b"bytes").hexdigest())
        return Originals(root, None, follow_links).read(record)

    assert read("link/a.png", True) == b"bytes"
    for path, follow_links in (("link/a.png", False), ("../away/a.png", True), (str(away / "a.png"), True)):
        with pytest.raises(ImageUnavailable, match="no longer there"):
            read(path, follow_links)
