"""An index as one file: what it holds, where it goes, and what is never unpacked."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import indexer
from indexer.cli import main
from indexer.errors import DamagedFile, InvalidRequest, NotFound, NotInstalled
from indexer.index.manifest import read_manifest
from indexer.jobs.packing import contents, tar
from indexer.jobs.packing.pack import pack
from indexer.jobs.packing.unpack import _holding, unpack
from indexer.jobs.upkeep.verify import verify
from indexer.store.remote import _filesystem, parse_location
from indexer.store.storage import Location
from tests import effective
from tests.effective import build_effective
from tests.object_store import ObjectStore

LAYER = "features.12"
Files = list[tuple[str, bytes]]


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.fixture(scope="module")
def packed(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("packs") / "small.tar"
    pack(small_index, file)
    return file


@pytest.fixture(scope="module")
def packed_whole(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("packs") / "whole.tar"
    pack(small_index, file, originals=True)
    return file


def test_all_that_is_derived_of_an_index_goes_with_it(tmp_path: Path) -> None:
    index = build_effective(tmp_path)
    made = ["--layer", effective.LAYER, "--points", "60", "--fitted", "40", "--perplexity", "5"]
    assert main(["atlas", str(index), *made]) == 0
    assert main(["scores", str(index), "--layer", effective.OTHER, "--by", effective.LAYER]) == 0
    assert {"atlas", "effective", "scores"} <= {key.partition(" ")[0] for key in read_manifest(index).derived}
    pack(index, tmp_path / "packed.tar")
    unpack(tmp_path / "packed.tar", tmp_path / "again")
    assert listed(tmp_path / "again") >= set(read_manifest(index).files)
    assert verify(tmp_path / "again") == []


# -- what it holds ----------------------------------------------------------------------------------------------------


def test_any_tar_reads_it_and_the_list_in_front_is_right(packed_whole: Path, small_index: Path) -> None:
    with tarfile.open(packed_whole) as archive:
        members = archive.getmembers()
        data = {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    assert members[0].name == "unitscope-pack.json"
    entries = json.loads(data.pop("unitscope-pack.json"))["files"]
    assert [entry["path"] for entry in entries] == [member.name for member in members[1:]]
    for entry in entries:
        content = data[entry["path"]]
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    originals = {name: content for name, content in data.items() if name.startswith("originals/")}
    assert len(originals) == 40
    for name in listed(small_index) - {"manifest.json"}:
        assert data.pop(name) == (small_index / name).read_bytes()
    assert data.keys() == {"manifest.json", *originals}


def test_the_same_bytes_each_time_and_after_it_was_unpacked(packed: Path, packed_whole: Path, tmp_path: Path) -> None:
    for file, originals in ((packed, False), (packed_whole, True)):
        unpack(file, tmp_path / file.stem)
        pack(tmp_path / file.stem, tmp_path / file.name, originals=originals)
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_without_originals_it_is_the_index_as_it_was(packed: Path, small_index: Path, tmp_path: Path) -> None:
    unpack(packed, tmp_path / "index")
    assert listed(tmp_path / "index") == listed(small_index)
    for name in listed(small_index):
        assert (tmp_path / "index" / name).read_bytes() == (small_index / name).read_bytes()
    assert verify(tmp_path / "index") == []


def test_with_originals_it_shows_them_wherever_it_goes(
    packed_whole: Path, small_index: Path, photo_folder: Path, tmp_path: Path
) -> None:
    unpack(packed_whole, tmp_path / "first")
    shutil.move(tmp_path / "first", tmp_path / "moved")
    with indexer.open(tmp_path / "moved") as index, indexer.open(small_index) as before:
        for image in index.find_images(limit=100).items:
            assert index.original(image) == (photo_folder / image.path).read_bytes()
        assert index.top_patches(LAYER, 7) == before.top_patches(LAYER, 7)
    # A job publishes it anew, and it can still be moved.
    assert main(["remove", str(tmp_path / "moved"), "--id", "1"]) == 0
    shutil.move(tmp_path / "moved", tmp_path / "again")
    with indexer.open(tmp_path / "again") as index:
        assert index.picture(index.image(2)).size == (index.image(2).width, index.image(2).height)
    pack(tmp_path / "again", tmp_path / "again.tar", originals=True)
    with tarfile.open(tmp_path / "again.tar") as archive:
        assert sum(name.startswith("originals/") for name in archive.getnames()) == 39


def test_what_an_index_does_not_list_stays_out(own_index: Path, tmp_path: Path) -> None:
    for name in ("notes.sqlite3", "plan.jsonl", "shards/stray.h5", "made/no layer/0.png"):
        (own_index / name).parent.mkdir(parents=True, exist_ok=True)
        (own_index / name).write_bytes(b"private")
    pack(own_index, tmp_path / "own.tar")
    assert b"private" not in (tmp_path / "own.tar").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "originals", "said"),
    [
        (lambda index, photos: (index / "shards/000001.h5").write_bytes(b"other"), False, "is not as it was written"),
        (lambda index, photos: (index / "shards/000001.h5").unlink(), False, "000001.h5: is missing"),
        (lambda index, photos: (photos / "birds/photo 000.png").unlink(), True, "1 originals are gone or have changed"),
        (lambda index, photos: (photos / "birds/photo 000.png").write_bytes(b"x"), True, "birds/photo 000.png"),
    ],
)
def test_nothing_damaged_is_packed(
    own_index: Path, photo_folder: Path, tmp_path: Path, spoil: Callable[..., Any], originals: bool, said: str
) -> None:
    photos = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    spoil(own_index, photos)
    with pytest.raises((DamagedFile, InvalidRequest), match=said):
        pack(own_index, tmp_path / "own.tar", originals=originals, images=photos)
    assert not [*tmp_path.glob("own.tar*")]


def test_a_file_and_a_folder_that_are_there_stay(packed: Path, small_index: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for folder in ("there", "link"):
        with pytest.raises(InvalidRequest, match="does not exist yet"):
            unpack(packed, tmp_path / folder)
    with pytest.raises(InvalidRequest, match="does not exist yet"):
        pack(small_index, packed)


# -- where it goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["memory", "bucket", "file"])
def test_a_url_is_as_good_as_a_path(place: str, packed: Path, small_index: Path, tmp_path: Path, request: Any) -> None:
    store: ObjectStore | None = request.getfixturevalue("object_store") if place == "bucket" else None
    name = {"memory": "memory://packs/a.tar", "file": f"file://{tmp_path}/a.tar"}.get(place)
    to: Location = store.place("packs/a.tar") if store else parse_location(str(name))
    pack(small_index, to)
    assert b"".join(_blocks(to)) == packed.read_bytes()
    unpack(to, tmp_path / "index")
    assert listed(tmp_path / "index") == listed(small_index)
    with pytest.raises(InvalidRequest, match="exists"):
        pack(small_index, to)


def _blocks(place: Location) -> list[bytes]:
    with place.open("rb") as file:
        return [file.read()]


def test_an_index_in_a_bucket_is_packed_as_one_on_a_disk(
    object_store: ObjectStore, packed: Path, tmp_path: Path
) -> None:
    unpack(packed, tmp_path / "index")
    place = object_store.place("packed from here/index")
    for name in listed(tmp_path / "index"):
        (place / name).upload(tmp_path / "index" / name)
    pack(place, tmp_path / "from bucket.tar")
    assert (tmp_path / "from bucket.tar").read_bytes() == packed.read_bytes()


def test_hugging_face_is_reached_through_its_own_package() -> None:
    pytest.importorskip("huggingface_hub")
    place = parse_location("hf://datasets/somebody/indexes/small.tar")
    assert (place.name, str(place.parent)) == ("small.tar", "hf://datasets/somebody/indexes")
    assert type(_filesystem("hf")).__name__ == "HfFileSystem"


def test_a_protocol_that_nobody_knows_is_said(small_index: Path, tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="no installed package knows nobody-knows://"):
        pack(small_index, parse_location("nobody-knows://here/a.tar"))
    with pytest.raises(NotFound, match="there is no file"):
        unpack(parse_location("memory://packs/none.tar"), tmp_path / "index")


@pytest.mark.parametrize("name", ["a", "ä/ö" * 60, "x" * 99, "x" * 100, "y" * 101, "z" * 98 + "/" + "z" * 3])
@pytest.mark.parametrize("size", [0, 511, 512, 8**11 - 1, 8**11, 3 << 40])
def test_headers_are_what_pythons_tarfile_reads(name: str, size: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(tar.header(name, size) + tar.END)) as archive:
        member = archive.next()
    assert member is not None
    assert (member.name, member.size, member.isreg(), member.mtime) == (name, size, True, 0)


# -- what is never unpacked -------------------------------------------------------------------------------------------


def made_pack(files: Files, path: Path, change: Callable[[dict[str, Any]], None] = lambda entries: None) -> Path:
    """A pack written by Python's tarfile, with a list that is right but for a change."""
    body = {
        "format": "unitscope pack",
        "version": 1,
        "files": [{"path": n, "bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in files],
    }
    change(body)
    lines = ",\n".join(json.dumps(entry) for entry in body.pop("files"))
    text = f'{json.dumps(body)[:-1]}, "files": [\n{lines}\n]}}\n'
    return raw_pack([("unitscope-pack.json", text.encode()), *files], path)


def raw_pack(files: Files, path: Path, change: Callable[[tarfile.TarInfo], None] = lambda member: None) -> Path:
    data = b""
    for name, content in files:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        change(member)
        buffer = member.tobuf(tarfile.USTAR_FORMAT)
        # Python gives devices numbers, and the pack's own headers none.
        data += (
            (buffer if member.type != b"0" else tar.header(name, len(content))) + content + bytes(-len(content) % 512)
        )
    path.write_bytes(data + bytes(1024))
    return path


MANIFEST = ("manifest.json", b"{}")


def entry(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        body["files"][1] |= changes

    return change


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/etc/passwd", "is an absolute path"),
        ("../outside", "leads out of the folder"),
        ("shards/../../outside", "leads out of the folder"),
        ("shards/..", "leads out of the folder"),
        ("shards//a", "is not written as a plain path"),
        ("./shards/a", "is not written as a plain path"),
        ("shards/a/", "is not written as a plain path"),
        ("", "is not written as a plain path"),
        ("shards/a\0b", "is not written as a plain path"),
        ("manifest.json", "names 'manifest.json' twice"),
        ("manifest.json/a", "is no file of an index"),
        ("shards", "is no file of an index"),
        ("notes.sqlite3", "is no file of an index"),
        ("plan.jsonl", "is no file of an index"),
        ("unitscope-pack.json", "is no file of an index"),
        ("derived/" + "a" * 256, "too long"),
        ("derived/" + "a/" * 2000 + "a", "too long"),
        ("shards/\udcff", "is no UTF-8"),
        (7, "is no text"),
        (None, "is no text"),
    ],
)
def test_a_name_that_no_index_has(tmp_path: Path, name: Any, said: str) -> None:
    packed = made_pack([MANIFEST, ("shards/a", b"content")], tmp_path / "a.tar", entry(path=name))
    refused(packed, tmp_path, said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (entry(bytes=6), "something else where shards/a of 6 bytes should be"),
        (entry(bytes=8), "something else where shards/a of 8 bytes should be"),
        (entry(bytes=7 + 512), "its list says"),
        (entry(bytes=1 << 61), "its list says"),
        (entry(bytes=-1), "says that shards/a has -1 bytes"),
        (entry(bytes=True), "says that shards/a has True bytes"),
        (entry(bytes=7.0), "says that shards/a has 7.0 bytes"),
        (entry(bytes=float("inf")), "says that shards/a has inf bytes"),
        (entry(sha256="0" * 64), "does not have the digest that the list says"),
        (entry(sha256="0" * 63), "gives shards/a no sha256"),
        (entry(sha256=None), "gives shards/a no sha256"),
        (entry(mode=0o4755), "an entry without path, bytes, sha256"),
        (lambda body: body["files"].append(body["files"][1]), "names 'shards/a' twice"),
        (lambda body: body["files"].append(body["files"][1] | {"path": "shards/a/b"}), "a file and as a folder"),
        (lambda body: body["files"].pop(), "its list says"),
        (lambda body: body["files"].clear(), "does not begin with manifest.json"),
        (lambda body: body["files"].reverse(), "does not begin with manifest.json"),
        (lambda body: body.update(version=2), "has version 2, this program reads version 1"),
        (lambda body: body.update(format="zip"), "is not that of a pack"),
        (lambda body: body.update(more=1), "is not written as this program writes it"),
    ],
)
def test_a_list_that_does_not_fit(tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str) -> None:
    refused(made_pack([MANIFEST, ("shards/a", b"content")], tmp_path / "a.tar", change), tmp_path, said)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_file(tmp_path: Path, kind: bytes) -> None:
    def change(member: tarfile.TarInfo) -> None:
        if member.name == "shards/a":
            member.type, member.linkname = kind, "/etc/passwd"

    files: Files = [MANIFEST, ("shards/a", b"")]
    listing = made_pack(files, tmp_path / "fine.tar").read_bytes()
    head = listing[512 : 512 + int(listing[124:135], 8)]
    packed = raw_pack([("unitscope-pack.json", head), *files], tmp_path / "a.tar", change)
    assert len(packed.read_bytes()) == len(listing)
    refused(packed, tmp_path, "something else where shards/a of 0 bytes should be")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is cut short"),
        (b"PK\3\4" + bytes(2000), "is no pack"),
        (bytes(1024), "is no pack"),
        (tar.header("manifest.json", 2) + b"{}" + bytes(510) + bytes(1024), "is no pack"),
        (tar.header(contents.LIST, 8**10), "more than"),
        (tar.header(contents.LIST, 1 << 20) + b"{}", "is cut short"),
        (tar.header(contents.LIST, 2) + b"{}" + b"x" * 510, "where the end of the list should be"),
        (tar.header(contents.LIST, 2) + b"{}" + bytes(510), "is not that of a pack"),
        (tar.header(contents.LIST, 2) + b"{x" + bytes(510), "is not JSON"),
        (tar.header(contents.LIST, 99_999) + b"[" * 99_999 + bytes(-99_999 % 512), "is not JSON"),
    ],
)
def test_a_file_that_is_no_pack(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    refused(tmp_path / "a.tar", tmp_path, said)


def test_a_pack_whose_manifest_lists_other_files(packed: Path, tmp_path: Path) -> None:
    with tarfile.open(packed) as archive:
        files = [(name, archive.extractfile(name).read()) for name in archive.getnames()[1:]]  # type: ignore[union-attr]
    shard = files.pop()
    refused(made_pack(files, tmp_path / "a.tar"), tmp_path, f"{shard[0]}: is missing in the pack")
    refused(made_pack([*files, (shard[0], b"x")], tmp_path / "b.tar"), tmp_path, "is not a file of the index")
    for more in ("shards/000009.h5", "made/x/y/000001.png"):
        refused(made_pack([*files, shard, (more, b"")], tmp_path / "c.tar"), tmp_path, "is not a file of the index")
    refused(made_pack([MANIFEST, *files[1:], shard], tmp_path / "d.tar"), tmp_path, "is not the manifest")


@pytest.mark.parametrize("where", [1, 511, 512, 600, -1024, -1025, -1, 100_000])
def test_one_changed_byte_or_a_lost_end(packed: Path, tmp_path: Path, where: int) -> None:
    data = bytearray(packed.read_bytes())
    data[where] ^= 1
    (tmp_path / "a.tar").write_bytes(data)
    refused(tmp_path / "a.tar", tmp_path, "")
    (tmp_path / "b.tar").write_bytes(packed.read_bytes()[:where])
    refused(tmp_path / "b.tar", tmp_path, "")
    (tmp_path / "c.tar").write_bytes(packed.read_bytes() + b"more")
    refused(tmp_path / "c.tar", tmp_path, "its list says")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest, match="is not a file"):
        unpack(tmp_path / "pipe", tmp_path / "index")


def refused(packed: Path, tmp_path: Path, said: str) -> None:
    before = {*tmp_path.iterdir()}
    with pytest.raises(DamagedFile) as raised:
        unpack(packed, tmp_path / "index")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {*tmp_path.iterdir()} == before


# -- interrupted ------------------------------------------------------------------------------------------------------

ENDED = """
import os, sys, time
from pathlib import Path
from indexer.jobs.packing import unpack as of
if sys.argv[1] == "9":
    of.unpack(Path(sys.argv[2]), Path(sys.argv[3]), progress=lambda done, total: os.kill(os.getpid(), 9))
else:
    of._check_index = lambda *_: (os.kill(os.getpid(), int(sys.argv[1])), time.sleep(20))
    from indexer.cli import main
    sys.exit(main(["unpack", *sys.argv[2:]]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_was_ended_leaves_nothing(packed: Path, tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", ENDED, str(int(number)), str(packed), str(tmp_path / "index")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (-number, 128 + number), done.stderr
    left = [path.name for path in tmp_path.iterdir()]
    if number == signal.SIGKILL:
        assert [name.startswith("index.") and name.endswith(".partial") for name in left] == [True]
    else:
        assert left == []
    unpack(packed, tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_key_that_ends_it_leaves_nothing(packed: Path, tmp_path: Path) -> None:
    def end(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(packed, tmp_path / "index", progress=end)
    assert not [*tmp_path.iterdir()]


def test_what_another_unpacks_meanwhile_stays(packed: Path, tmp_path: Path) -> None:
    others = tmp_path / "index.01234567.partial"
    others.mkdir()
    with _holding(others):
        unpack(packed, tmp_path / "index")
        assert others.is_dir()


def test_a_disk_without_room_is_said(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 1, 99))  # type: ignore[attr-defined]
    with pytest.raises(InvalidRequest, match="has room for 99; free some"):
        unpack(packed, tmp_path / "index")
    assert not [*tmp_path.iterdir()]


def test_the_commands_say_what_they_did(small_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder = str(tmp_path / "a.tar"), str(tmp_path / "index")
    assert main(["pack", str(small_index), file, "--with-originals"]) == 0
    assert main(["unpack", file, folder]) == 0
    said = capsys.readouterr()
    assert "(40 of them originals)" in said.out
    assert main(["unpack", file, folder]) == 1
    assert main(["unpack", str(tmp_path / "none.tar"), folder]) == 1
    assert main(["pack", str(tmp_path), str(tmp_path / "b.tar")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.startswith("unitscope: ") for line in lines] == [True] * 3
