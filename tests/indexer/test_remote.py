"""Indexes and images in a bucket of a real S3 server: every job, as on a disk."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import indexer
from indexer.errors import IndexBusy, NotAnIndex, NotInstalled, StorageUnavailable
from indexer.images import reading
from indexer.index.lock import writing
from indexer.index.manifest import publish, read_manifest
from indexer.jobs.build import add, build
from indexer.jobs.info import describe
from indexer.jobs.pipeline import forwarding
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.shards import listed
from indexer.store import atomic, lease, remote, remote_storage
from indexer.store.cache import Cache
from indexer.store.remote import RemotePath, parse_location
from indexer.store.storage import storage_at
from tests.conftest import build_request, write_photos
from tests.indexer.test_jobs import TINY, answers
from tests.object_store import ObjectStore, upload

CHANGES = TINY | {"shard_size": 5, "batch_size": 2}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=7, count=13)


@pytest.fixture
def local(photos: Path, tmp_path: Path) -> Path:
    build(tmp_path / "index", build_request(photos, **CHANGES))
    return tmp_path / "index"


@pytest.fixture
def index(object_store: ObjectStore, photos: Path, request: pytest.FixtureRequest) -> RemotePath:
    place = object_store.place(f"{request.node.name}/index")
    build(place, build_request(photos, **CHANGES))
    return place


def check_same_shards(local: Path, index: RemotePath) -> None:
    there = {path.name: path.read_bytes() for path in (index / "shards").iterdir()}
    assert there == {path.name: path.read_bytes() for path in (local / "shards").iterdir()}


def test_built_in_a_bucket_as_on_a_disk(local: Path, index: RemotePath) -> None:
    check_same_shards(local, index)
    assert (index / "manifest.json").read_bytes() == (local / "manifest.json").read_bytes()
    assert answers(index) == answers(local)
    assert verify(index) == []
    assert describe(index) | {"index": None} == describe(local) | {"index": None}
    names = {str(name) for name in index.files()}
    assert names == {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()} - {"lock"}


def test_images_in_a_bucket(object_store: ObjectStore, photos: Path, local: Path, tmp_path: Path) -> None:
    root = upload(photos, object_store.place("images in a bucket/photos"))
    (photos.parent / "hidden").mkdir(exist_ok=True)
    build(tmp_path / "from", build_request(root, **CHANGES))
    assert answers(tmp_path / "from") == answers(local)
    with indexer.open(tmp_path / "from") as opened:
        image = opened.image(3)
        assert opened.original(image) == (photos / image.path).read_bytes()
        (root / image.path).unlink()
        with pytest.raises(indexer.errors.ImageUnavailable, match="no longer there"):
            opened.original(image)


def test_a_list_in_a_bucket(object_store: ObjectStore, photos: Path, tmp_path: Path) -> None:
    root = upload(photos, object_store.place("a list/photos"))
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.png"))][:3]
    (tmp_path / "list.csv").write_text("\n".join(["path,class", *(f"{name},sea" for name in names)]))
    (root / "list.csv").upload(tmp_path / "list.csv")
    build(tmp_path / "listed", build_request(root / "list.csv", **CHANGES))
    with indexer.open(tmp_path / "listed") as opened:
        assert [image.path for image in opened.find_images(class_="sea").items] == names


def test_the_life_of_an_index(object_store: ObjectStore, photos: Path, tmp_path: Path) -> None:
    grown = tmp_path / "photos"
    shutil.copytree(photos, grown)
    moved = sorted(grown.rglob("*.png"))[:4]
    index, local = object_store.place("life/index"), tmp_path / "index"
    for path in moved:
        path.rename(path.with_suffix(".aside"))
    for each in (index, local):
        build(each, build_request(grown, **CHANGES))
    for path in moved:
        path.with_suffix(".aside").rename(path)
    for each in (index, local):
        add(each)
        remove(each, ids=[1, 7])
        compact(each)
    check_same_shards(local, index)
    assert answers(index) == answers(local)
    assert [path.name for path in (index / "derived").iterdir()] == ["000003", "000004"]


def test_an_interrupted_build_resumes(
    object_store: ObjectStore, photos: Path, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, real = object_store.place("interrupted/index"), forwarding.reduce_maps
    last = max(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))

    def failing(layer: str, maps: object, paths: list[str]) -> object:
        return 1 / 0 if last in paths else real(layer, maps, paths)

    monkeypatch.setattr(forwarding, "reduce_maps", failing)
    with pytest.raises(ZeroDivisionError):
        build(index, build_request(photos, **CHANGES))
    monkeypatch.undo()
    with pytest.raises(NotAnIndex):
        indexer.open(index)
    kept = (index / "shards" / "000000.h5").stat().version
    build(index, build_request(photos, **CHANGES))
    assert (index / "shards" / "000000.h5").stat().version == kept
    check_same_shards(local, index)


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: remote_write(path, b"this is no shard")])
def test_a_damaged_shard_is_named_and_rebuilt(index: RemotePath, local: Path, damage: Callable) -> None:
    damage(index / "shards" / "000001.h5")
    assert [fault.file for fault in verify(index)] == ["shards/000001.h5"]
    with indexer.open(index) as opened:
        with pytest.raises(indexer.errors.DamagedFile, match=r"shards/000001\.h5"):
            opened.activation_maps(6, "1")
        assert opened.activation_maps(1, "1").shape == (6, 10, 14)
    repair(index)
    check_same_shards(local, index)
    assert verify(index) == []


def remote_write(path: RemotePath, data: bytes) -> None:
    path.replace(data, path.stat().version)


def test_one_job_at_a_time(index: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SILENT_AT_MOST", 0.4)
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.05)
    with writing(index), pytest.raises(IndexBusy, match=r"another job is writing .*index, process \d+ on "):
        compact(index)
    assert not (index / "lease.json").exists()


def test_a_dead_job_holds_nothing_up(index: RemotePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SILENT_AT_MOST", 0.1)
    (index / "lease.json").create(b'{"host": "elsewhere", "process": 7}')
    assert remove(index, ids=[1]).generation == 2


OTHER = b'{"host": "elsewhere", "process": 7}'


def replaced(path: RemotePath) -> None:
    with atomic.publishing(path) as partial:
        partial.write_bytes(b"mine")


def created(path: RemotePath) -> None:
    with atomic.creating(path.parent / "new") as partial:
        partial.write_bytes(b"mine")


@pytest.mark.parametrize(
    "write",
    [
        replaced, created, atomic.remove, RemotePath.unlink, lambda path: atomic.remove(path.parent),
        lambda path: storage_at(path).rename("other"), lambda path: path.replace(b"mine", path.stat().version),
        lambda path: publish(path.parent.parent, replace(read_manifest(path.parent.parent), generation=2)),
    ],
)  # fmt: skip
def test_a_job_that_has_lost_its_lease_changes_nothing(
    index: RemotePath, write: Callable[[RemotePath], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SILENT_AT_MOST", 0)
    before = {str(path): (index / path).stat().version for path in index.files()}
    elsewhere = index.parent / "elsewhere"
    with writing(index):
        remote_write(index / "lease.json", OTHER)
        for _ in range(2):
            with pytest.raises(IndexBusy, match=r"another job has taken over s3://.*index, as this one was silent"):
                write(index / "shards" / "000001.h5")
        replaced(elsewhere)
    assert elsewhere.read_bytes() == b"mine"
    assert (index / "lease.json").read_bytes() == OTHER
    (index / "lease.json").unlink()
    assert {str(path): (index / path).stat().version for path in index.files()} == before


def test_a_request_that_is_sent_again_does_not_lose_the_lease(
    index: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SILENT_AT_MOST", 0)
    real = RemotePath.replace

    def twice(path: RemotePath, data: bytes, version: str) -> str:
        real(path, data, version)
        return real(path, data, version)

    monkeypatch.setattr(RemotePath, "replace", twice)
    with writing(index):
        replaced(index / "one")
        replaced(index / "two")
    assert (index / "two").read_bytes() == b"mine"
    assert not (index / "lease.json").exists()


STOPPED = """
import sys
from indexer.errors import IndexBusy
from indexer.jobs.upkeep.compact import compact
from indexer.store import lease
from indexer.store.remote import parse_location

def report(stage):
    print(stage, flush=True)
    sys.stdin.readline()

lease.SILENT_AT_MOST, lease.RENEWED_EVERY = 2, 0.2
try:
    compact(parse_location(sys.argv[1]), report)
except IndexBusy as error:
    print(error)
"""


def test_a_job_that_was_stopped_leaves_what_another_has_published(
    object_store: ObjectStore, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, index = shutil.copytree(photos, tmp_path / "photos"), object_store.place("stopped/index")
    build(index, build_request(own, **CHANGES))
    remove(index, ids=[1])
    write_photos(own / "more", seed=8, count=3)
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, str(index)], env=os.environ | object_store.environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as stopped:  # fmt: skip
        assert stopped.stdout.readline() == "shards/000000.h5\n"
        stopped.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(lease, "SILENT_AT_MOST", 2)
        monkeypatch.setattr(lease, "RENEWED_EVERY", 0.2)
        published = add(index)
        stopped.send_signal(signal.SIGCONT)
        said, _ = stopped.communicate("\n" * 100)
    assert "another job has taken over" in said
    assert read_manifest(index) == published
    assert verify(index) == []


def test_two_jobs_cannot_both_publish(index: RemotePath) -> None:
    manifest = read_manifest(index)
    publish(index, replace(manifest, generation=2))
    with pytest.raises(IndexBusy, match="another job has published"):
        publish(index, replace(manifest, generation=2))


@pytest.mark.parametrize("largest", [1 << 30, 1 << 20])
def test_what_is_too_large_for_one_request_is_sent_in_parts(
    object_store: ObjectStore, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_storage, "LARGEST_PUT", largest)
    data, path = np.random.default_rng(largest).bytes(12 << 20), object_store.place(f"large/{largest}")
    with atomic.creating(path) as partial:
        partial.write_bytes(data)
    assert path.read_bytes() == data
    assert path.stat().version.strip('"').endswith("-3") == (largest < len(data))  # how S3 marks what came in parts
    with pytest.raises(FileExistsError), atomic.creating(path) as partial:
        partial.write_bytes(b"another" * (1 << 18))
    assert path.read_bytes() == data


def test_only_so_many_shards_are_open(index: RemotePath, local: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "open_at_most", lambda: 1)
    for each in (index, local):
        with indexer.open(each) as opened:
            for image in (0, 12, 6, 1, 11, 7):
                assert opened.activation_maps(image, "1").any()
                assert len(opened._shards._open) == 1


def test_copies_are_bounded(index: RemotePath, tmp_path: Path) -> None:
    files = [path for path in (index / "derived" / "000001").iterdir() if path.suffix == ".h5"]
    sizes = [path.stat().st_size for path in files]
    cache = Cache(tmp_path / "copies", max(sizes) + min(sizes))
    for _ in range(2):
        for path in files:
            assert cache.copy_of(path).read_bytes() == path.read_bytes()
            assert sum(copy.stat().st_size for copy in cache.directory.iterdir()) <= cache.max_bytes
    again = cache.copy_of(files[-1]).stat().st_ino
    assert cache.copy_of(files[-1]).stat().st_ino == again, "it was there already"
    remote_write(files[-1], b"another")
    assert cache.copy_of(files[-1]).read_bytes() == b"another"
    with pytest.raises(StorageUnavailable, match=r"copies may have 3: allow the cache more"):
        Cache(tmp_path / "small", 3).copy_of(files[0])


def test_storage_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, object_store: ObjectStore) -> None:
    remote._filesystem.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(remote, "RETRY", remote.RETRY | {"max_retries": 0})
    for ask in (RemotePath.exists, RemotePath.stat, RemotePath.read_bytes, indexer.open):
        with pytest.raises(StorageUnavailable, match="does not answer"):
            ask(parse_location("s3://nowhere/index"))
    remote._filesystem.cache_clear()


class _Refusing(BaseHTTPRequestHandler):
    """Storage to which no credentials are right."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_PUT = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_storage_that_refuses(monkeypatch: pytest.MonkeyPatch, object_store: ObjectStore) -> None:
    remote._filesystem.cache_clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        asked = (RemotePath.stat, RemotePath.read_bytes, RemotePath.files, lambda path: path.create(b""), indexer.open)
        for ask in asked:
            with pytest.raises(StorageUnavailable, match=r"the storage refuses access to .*; check the credentials"):
                ask(parse_location("s3://photographs/index"))
        server.shutdown()
    remote._filesystem.cache_clear()


def test_an_object_that_is_too_large_is_not_read(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    file = object_store.place("large.png")
    file.create(bytes(1000))
    monkeypatch.setattr(reading, "MAX_BYTES", 999)
    monkeypatch.setattr(RemotePath, "read_bytes", lambda path: pytest.fail("it was read"))
    with pytest.raises(OSError, match="it has 1000 bytes, at most 999 are read"):
        reading.read_file(file)


@pytest.mark.parametrize(("url", "missing"), [("s3://bucket/index", "obstore"), ("nobody-knows://bucket/index", None)])
def test_what_is_not_installed(url: str, missing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    remote._filesystem.cache_clear()
    if missing:
        for name in (missing, f"{missing}.fsspec", f"{missing}.exceptions", "indexer.store.buckets"):
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(NotInstalled, match=r"unitscope\[s3\]|no installed package knows nobody-knows"):
        indexer.open(url)
    remote._filesystem.cache_clear()


@pytest.mark.parametrize(
    ("name", "path"),
    [("a/b", Path("a/b")), ("file:///a/b", Path("/a/b")), ("s3://a/b/", RemotePath("s3", Path("a/b")))],
)
def test_places(name: str, path: Path | RemotePath) -> None:
    assert str(parse_location(name)) == str(path)
    assert parse_location(parse_location(name)) == parse_location(name)
    assert (parse_location("s3://a/b") / "c.h5").parent == parse_location("s3://a/b")
    assert not (parse_location("s3://a/b") / "../c").is_relative_to(parse_location("s3://a/b"))
