"""A folder on a disk and one in a bucket give the same answers to the same questions."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from indexer.errors import DamagedFile, IndexBusy
from indexer.store import atomic, lease
from indexer.store.cache import Cache
from indexer.store.refusals import NotRegular, TooLarge
from indexer.store.storage import Location, storage_at
from indexer.store.walk import Entry, Link
from tests.marks import seeds
from tests.object_store import ObjectStore


@pytest.fixture(params=["disk", "bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "disk":
        return tmp_path.resolve()
    return request.getfixturevalue("object_store").place(f"storage/{request.node.name}")


def write(path: Location, data: bytes) -> Location:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, data)
    return path


@pytest.mark.parametrize("seed", seeds(3, 2))
def test_whole_files_and_parts_of_them(folder: Location, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.bytes(int(rng.integers(1000, 100_000)))
    file = write(folder / "a.bin", data)
    storage = storage_at(file)
    assert storage.read(len(data)) == data
    with pytest.raises(TooLarge, match=f"it has {len(data)} bytes, at most {len(data) - 1} are read"):
        storage.read(len(data) - 1)
    with storage.ranges() as read_range, ThreadPoolExecutor(4) as threads:
        parts = [(int(rng.integers(1, 500)), int(offset)) for offset in rng.integers(0, len(data) - 500, 20)]
        read = [*threads.map(lambda part: read_range(*part), parts)]
    assert read == [data[offset : offset + size] for size, offset in parts]
    assert storage.read_range(64, 0) == data[:64]
    assert storage.local_file("a.bin").read_bytes() == data
    assert atomic.file_sha256(file) == atomic.file_sha256(storage.local_file("a.bin"))


def test_a_library_reads_the_parts_that_it_wants(folder: Location) -> None:
    file = write(folder / "a.npy", b"")
    with atomic.publishing(file) as partial, partial.open("wb") as written:
        np.save(written, np.arange(60_000).reshape(200, 300))
    assert np.array_equal(np.load(storage_at(file).readable()), np.arange(60_000).reshape(200, 300))


def test_a_file_that_is_not_there(folder: Location) -> None:
    storage = storage_at(folder / "nowhere.h5")
    asked: list[Callable[[], object]] = [
        lambda: storage.read(10),
        lambda: storage.read_range(1, 0),
        storage.fingerprint,
    ]
    for ask in asked:
        with pytest.raises(FileNotFoundError):
            ask()
    assert not storage.is_irregular()
    storage.remove()


def test_a_fingerprint_changes_with_the_file_alone(folder: Location) -> None:
    storage = storage_at(write(folder / "a", b"one"))
    first = storage.fingerprint()
    assert storage.fingerprint() == first
    write(folder / "a", b"two")
    assert storage.fingerprint() != first
    assert storage_at(folder).identity() == storage_at(folder).identity()


def fail_after(step: Callable[[], object]) -> None:
    step()
    raise ZeroDivisionError


def test_a_file_that_is_published_replaces_another_and_one_that_is_created_does_not(folder: Location) -> None:
    file = folder / "a"
    with storage_at(file).creating() as partial:
        partial.write_bytes(b"one")
    with pytest.raises(FileExistsError), storage_at(file).creating() as partial:
        partial.write_bytes(b"two")
    assert file.read_bytes() == b"one"
    with storage_at(file).publishing() as partial:
        partial.write_bytes(b"three")
        assert file.read_bytes() == b"one"
    assert file.read_bytes() == b"three"
    with pytest.raises(ZeroDivisionError), storage_at(file).publishing() as partial:
        fail_after(lambda: partial.write_bytes(b"four"))
    assert file.read_bytes() == b"three"
    storage_at(folder).remove_partial()
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_the_next_one_takes_the_place_of_the_one_before(folder: Location) -> None:
    file = folder / "counter"
    for data in (b"one", b"two", b"three"):
        storage_at(file).replace_if(data, lambda: True)
        assert file.read_bytes() == data


def test_names_and_removal(folder: Location) -> None:
    file = write(folder / "a.h5", b"one")
    storage_at(file).rename("b.h5")
    assert (not file.exists(), (folder / "b.h5").read_bytes()) == (True, b"one")
    write(folder / "sub" / "c", b"two")
    storage_at(folder / "sub").remove()
    assert [path.name for path in folder.iterdir()] == ["b.h5"]
    storage_at(folder / "b.h5").remove()
    storage_at(folder / "b.h5").remove()
    assert not (folder / "b.h5").exists()


def test_the_files_below_a_folder(folder: Location) -> None:
    for name in ("z.png", "a/b.png", "a/c d/e", ".hidden/f.png", "a/.g.png"):
        write(folder / name, b"x")
    wanted = {Entry(PurePosixPath(name)) for name in ("z.png", "a/b.png", "a/c d/e")}
    storage = storage_at(folder)
    assert {*storage.files()} == {*storage.files_through_links()} == wanted
    assert [*storage.links(["z.png", "a/b.png"])] == []
    assert not storage.is_lost_folder()
    assert not storage.is_unmounted()


def test_names_lead_below_a_folder_or_nowhere(folder: Location) -> None:
    write(folder / "a/b.png", b"x")
    storage = storage_at(folder)
    for inside in (storage.inside, storage.inside_through_links):
        assert inside("a/b.png") == folder / "a/b.png"
        assert inside("../b.png") is None
        assert inside("a/../../b.png") is None
    assert storage.relative_name("a/b.png") == "a/b.png"
    assert storage.relative_name(f"{folder}/a/b.png") == "a/b.png"
    assert storage.relative_name(f"{folder}-other/a/b.png") is None
    assert storage.relative_name("/elsewhere/b.png") is None
    assert storage.absolute_name() == str(folder)


def test_one_holds_a_lock_at_a_time(folder: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SILENT_AT_MOST", 0.4)
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.05)
    storage = storage_at(folder / "index")
    refused: list[Exception] = []

    def another() -> None:
        try:
            with storage.locking(("shards",)):
                pass
        except IndexBusy as error:
            refused.append(error)

    def job() -> None:
        other = threading.Thread(target=another)
        other.start()
        other.join()
        (folder / "index" / "shards").mkdir()

    with pytest.raises(ZeroDivisionError), storage.locking(("shards",)):
        fail_after(job)
    assert [str(error).startswith("another job is writing ") for error in refused] == [True]
    assert not (folder / "index").exists(), "nothing was written, so nothing is left"
    with storage.locking(("shards",)):
        write(folder / "index" / "shards" / "000000.h5", b"x")
    assert (folder / "index" / "shards" / "000000.h5").is_file()


def test_workers_find_a_file_of_this_machine(folder: Location, tmp_path: Path) -> None:
    (tmp_path / "own.h5").write_bytes(b"own")
    with storage_at(folder).sharing(tmp_path / "own.h5") as shared:
        assert shared.read_bytes() == b"own"
    assert (tmp_path / "own.h5").is_file()
    assert {*storage_at(folder).files()} <= {Entry(PurePosixPath("own.h5"))}, "no copy is left"


def test_copies_go_where_a_location_says(folder: Location, tmp_path: Path) -> None:
    write(folder / "a.h5", b"data")
    copied = storage_at(folder).copied_to(Cache(tmp_path / "copies"))
    assert copied == folder
    assert storage_at(copied / "a.h5").local_file("a.h5").read_bytes() == b"data"
    assert (tmp_path / "copies").exists() == storage_at(folder).costs_requests


# -- what only a disk can have --------------------------------------------------------------------------------------


def test_links_on_a_disk(tmp_path: Path) -> None:
    root = (tmp_path / "root").resolve()
    (root / "real").mkdir(parents=True)
    write(tmp_path / "outside" / "o.png", b"x")
    write(root / "real" / "a.png", b"x")
    for name, to in (
        ("in.png", "real/a.png"), ("out.png", "../outside/o.png"), ("folder", "real"), ("away", "../outside"),
        ("real/up", ".."), ("loop", "loop"),
    ):  # fmt: skip
        (root / name).symlink_to(to)
    entries = {str(path): link for path, link in storage_at(root).files()}
    assert entries == {
        "real/a.png": None, "in.png": None, "out.png": Link.OUT, "folder": Link.TO_FOLDER, "away": Link.TO_FOLDER,
        "real/up": Link.TO_FOLDER, "loop": None,
    }  # fmt: skip
    followed = {str(path): link for path, link in storage_at(root).files_through_links()}
    assert {name for name, link in followed.items() if link is Link.LOOP} == {"real/up", "folder/up"}
    assert {"away/o.png", "folder/a.png", "out.png"} <= followed.keys()
    named = ["in.png", "out.png", "folder", "away/o.png", "real/a.png"]
    assert dict(storage_at(root).links(named)) == {
        "out.png": Link.OUT, "folder": Link.TO_FOLDER, "away/o.png": Link.OUT,
    }  # fmt: skip
    assert storage_at(root).inside("out.png") is None
    assert storage_at(root).inside_through_links("out.png") == (tmp_path / "outside" / "o.png").resolve()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "odd")
    assert storage_at(tmp_path / "odd").is_irregular()
    with pytest.raises((NotRegular, IsADirectoryError)):
        storage_at(tmp_path / "odd").read(10)


def test_a_folder_that_is_gone_or_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    gone, empty = storage_at(tmp_path / "gone"), storage_at(tmp_path / "empty")
    assert (gone.is_lost_folder(), gone.is_unmounted()) == (True, True)
    assert (empty.is_lost_folder(), empty.is_unmounted()) == (False, True)


def test_another_folder_at_the_same_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before = storage_at(tmp_path / "a").identity()
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    assert storage_at(tmp_path / "a").identity() != before


# -- what only a bucket can have ------------------------------------------------------------------------------------


def test_a_remote_file_that_is_missing_is_named(object_store: ObjectStore) -> None:
    with pytest.raises(DamagedFile, match=r"shards/000001\.h5: is missing"):
        storage_at(object_store.place("storage/nowhere.h5")).local_file("shards/000001.h5")


def test_no_other_writer_is_overwritten(object_store: ObjectStore) -> None:
    file = object_store.place("storage/raced")
    for already in (False, True):

        def other_is_first(already: bool = already) -> bool:
            write(file, b"another" + bytes([already]))
            return True

        with pytest.raises(FileExistsError):
            storage_at(file).replace_if(b"mine", other_is_first)
        assert file.read_bytes() == b"another" + bytes([already])
    with pytest.raises(FileExistsError):
        storage_at(file).replace_if(b"mine", lambda: False)
