"""A generation that cannot be opened is tried ever more rarely, and at once where its files have changed."""

import itertools
import shutil
import time
from pathlib import Path

import pytest

import indexer
from indexer.errors import DamagedFile, UnitscopeError
from service.indexes import backoff
from service.indexes.backoff import LONGEST, Backoff
from service.indexes.catalog import Catalog


class Clock:
    """The time, as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_time_between_tries_doubles_up_to_some_minutes(clock: Clock, tmp_path: Path) -> None:
    tries = Backoff(tmp_path)
    delays = []
    for _ in range(14):
        delays.append(tries.failed("one"))
        assert tries.waits("one")
        clock.now += delays[-1]
        assert not tries.waits("one")
    assert delays == [min(0.5 * 2**number, LONGEST) for number in range(14)]
    assert 60 <= LONGEST <= 600


def test_another_state_is_tried_at_once_and_begins_anew(clock: Clock, tmp_path: Path) -> None:
    tries = Backoff(tmp_path)
    for _ in range(5):
        tries.failed("one")
    assert not tries.waits("two")
    assert tries.failed("two") == 0.5
    tries.succeeded()
    assert not tries.waits("two")
    assert tries.failed("two") == 0.5


@pytest.mark.parametrize("file", ["a.h5", "derived/a.h5"])
def test_a_file_that_has_changed_is_looked_at_at_once(clock: Clock, tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    tries = Backoff(tmp_path)
    tries.failed("one", file)
    assert tries.waits("one")
    (tmp_path / file).write_bytes(b"repaired")
    assert not tries.waits("one")
    assert backoff.file_stamp(tmp_path, "\0") == ()


def catalog_of(own: Path, tried: list[float]) -> Catalog:
    def open_index(path: Path) -> indexer.Index:
        tried.append(time.monotonic())
        return indexer.open(path)

    return Catalog(own, open_index, 0.0)


def ask(catalog: Catalog) -> int | None:
    try:
        return catalog.ask("own", lambda held: held.index.generation)
    except UnitscopeError:
        return None


def test_a_damaged_index_is_opened_ever_more_rarely(clock: Clock, own_index: Path) -> None:
    (derived,) = (own_index / "derived").rglob("images.h5")
    whole = derived.read_bytes()
    derived.write_bytes(whole[:100])
    tried: list[float] = []
    catalog = catalog_of(own_index, tried)
    for _ in range(600):  # a minute of ten questions a second
        assert ask(catalog) is None
        clock.now += 0.1
    gaps = [after - before for before, after in itertools.pairwise(tried)]
    assert 5 <= len(tried) <= 9
    assert all(after > 1.5 * before for before, after in itertools.pairwise(gaps))
    derived.write_bytes(whole)
    assert ask(catalog) == 1, "it is tried as soon as the file has changed"
    catalog.close()


def test_a_new_generation_is_tried_at_once(clock: Clock, own_index: Path, tmp_path: Path) -> None:
    shutil.copytree(own_index, tmp_path / "whole")
    manifest = own_index / "manifest.json"
    manifest.write_text("no JSON")
    tried: list[float] = []
    catalog = catalog_of(own_index, tried)
    for _ in range(20):
        assert ask(catalog) is None
        clock.now += 1
    shutil.copy(tmp_path / "whole" / "manifest.json", manifest)
    assert ask(catalog) == 1
    catalog.close()


def test_the_error_names_the_file_meanwhile(clock: Clock, own_index: Path) -> None:
    (own_index / "manifest.json").write_text("no JSON")
    catalog = catalog_of(own_index, [])
    for _ in range(3):
        with pytest.raises(DamagedFile, match=r"manifest\.json"):
            catalog.ask("own", lambda held: held)
        clock.now += 0.01
