"""Copies of remote files, in a folder that several processes share."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import StorageUnavailable
from indexer.store import cache
from indexer.store.cache import Cache
from indexer.store.remote import RemotePath
from indexer.store.storage import storage_at


@pytest.fixture
def remote(tmp_path: Path) -> RemotePath:
    (tmp_path / "far.h5").write_bytes(bytes(100))
    return RemotePath("local", tmp_path / "far.h5")


def test_files_may_vanish_while_room_is_made(tmp_path: Path) -> None:
    copies = Cache(tmp_path / "copies")
    copies.directory.mkdir()
    ended = threading.Event()

    def rename() -> None:
        while not ended.is_set():
            for number in range(20):
                (copies.directory / f"{number:064}.partial").write_bytes(b"x")
            for number in range(20):
                os.replace(copies.directory / f"{number:064}.partial", copies.directory / f"{number:064}")

    with ThreadPoolExecutor(1) as other:
        renaming = other.submit(rename)
        try:
            for _ in range(300):
                copies._make_room(1)
        finally:
            ended.set()
        renaming.result()


def test_what_another_process_downloads_is_left_alone(remote: RemotePath, tmp_path: Path) -> None:
    copies = Cache(tmp_path / "copies", 250)
    copies.directory.mkdir()
    left, under_way, used = (f"{number:064}.h5{end}" for number, end in enumerate((".01.partial", ".02.partial", "")))
    for name, age in ((left, 90_000), (under_way, 60), (used, 30)):
        (copies.directory / name).write_bytes(bytes(100))
        os.utime(copies.directory / name, (time.time() - age,) * 2)
    copy = copies.copy_of(remote)
    kept = {path.name for path in copies.directory.iterdir() if not path.name.startswith("lock-")}
    assert kept == {under_way, copy.name}


def test_what_is_no_copy_is_left_alone(remote: RemotePath, tmp_path: Path) -> None:
    """A person may name a folder that holds something."""
    copies = Cache(tmp_path / "copies", 150)
    (copies.directory / ("a" * 64)).mkdir(parents=True)
    for name in ("thesis.tex", "b" * 63, "c" * 65, f"{'d' * 64}-2.h5"):
        (copies.directory / name).write_bytes(bytes(100))
        os.utime(copies.directory / name, (time.time() - 90_000,) * 2)
    before = set(copies.directory.iterdir())
    copy = copies.copy_of(remote)
    assert {path for path in copies.directory.iterdir() if not path.name.startswith("lock-")} == before | {copy}


def test_one_process_downloads_a_file_for_all(
    remote: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded: list[Path] = []
    real = RemotePath.download

    def download(path: RemotePath, to: Path) -> None:
        downloaded.append(to)
        time.sleep(0.2)
        real(path, to)

    monkeypatch.setattr(RemotePath, "download", download)
    caches = [Cache(tmp_path / "copies") for _ in range(4)]
    with ThreadPoolExecutor(4) as processes:
        found = {*processes.map(lambda each: each.copy_of(remote), caches)}
    assert (len(found), len(downloaded)) == (1, 1)


def _linked(folder: Path) -> None:
    (folder.parent / "own").mkdir(mode=0o700)
    folder.symlink_to("own")


def _open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


@pytest.mark.parametrize("make", [_linked, _open_to_all, Path.touch, Path.mkdir])
def test_the_default_folder_must_be_this_users_alone(
    remote: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(cache, "DIRECTORY", tmp_path / "unitscope-cache")
    assert Cache().copy_of(remote).read_bytes() == bytes(100)
    (tmp_path / "unitscope-cache").rename(tmp_path / "aside")
    make(tmp_path / "unitscope-cache")
    if make is Path.mkdir:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StorageUnavailable, match="is not a folder that only this user can write to"):
        Cache().copy_of(remote)


def test_a_slow_download_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [RemotePath("local", tmp_path / f"{number}.h5") for number in range(30)]
    for number, file in enumerate(files):
        Path(file.path).write_bytes(bytes([number]))
    copies = Cache(tmp_path / "copies")
    begun, go, real = threading.Event(), threading.Event(), RemotePath.download

    def download(path: RemotePath, to: Path) -> None:
        if path == files[0]:
            begun.set()
            assert go.wait(30)
        real(path, to)

    monkeypatch.setattr(RemotePath, "download", download)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(copies.copy_of, files[0])
        assert begun.wait(10)
        other = threads.submit(lambda: [copies.copy_of(file).read_bytes() for file in files[1:]])
        assert other.result(20) == [bytes([number]) for number in range(1, 30)]
        assert not slow.done()
        go.set()
        assert slow.result(20).read_bytes() == b"\0"
    assert not list(copies.directory.glob("lock-*")), "locks are removed"


def test_threads_that_want_the_same_wait_for_one_download(
    remote: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded, real, copies = [], RemotePath.download, Cache(tmp_path / "copies")

    def download(path: RemotePath, to: Path) -> None:
        downloaded.append(to)
        time.sleep(0.2)
        real(path, to)

    monkeypatch.setattr(RemotePath, "download", download)
    with ThreadPoolExecutor(6) as threads:
        found = {*threads.map(lambda _: copies.copy_of(remote), range(6))}
    assert (len(found), len(downloaded)) == (1, 1)


def test_a_download_that_fails_leaves_the_way_free(
    remote: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies, real = Cache(tmp_path / "copies"), RemotePath.download
    failures = [StorageUnavailable("not now")]

    def download(path: RemotePath, to: Path) -> None:
        if failures:
            raise failures.pop()
        real(path, to)

    monkeypatch.setattr(RemotePath, "download", download)
    with pytest.raises(StorageUnavailable):
        copies.copy_of(remote)
    assert copies.copy_of(remote).read_bytes() == bytes(100)


def test_downloads_at_the_same_time_stay_within_the_room_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [RemotePath("local", tmp_path / f"{number}.h5") for number in range(3)]
    for file in files:
        Path(file.path).write_bytes(bytes(100))
    copies, both, real = Cache(tmp_path / "copies", 250), threading.Barrier(2), RemotePath.download
    copies.copy_of(files[0])

    def download(path: RemotePath, to: Path) -> None:
        both.wait(10)
        real(path, to)

    monkeypatch.setattr(RemotePath, "download", download)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(copies.copy_of, files[1:]))
    assert sum(path.stat().st_size for path in copies.directory.iterdir()) <= 250


def test_each_path_says_where_its_copies_go(remote: RemotePath, tmp_path: Path) -> None:
    own = remote.copied_to(Cache(tmp_path / "own"))
    assert own == remote
    assert hash(own) == hash(remote)
    assert storage_at(own.parent / own.name).local_file("x").parent == tmp_path / "own"
