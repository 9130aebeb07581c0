"""Indexes that earlier formats wrote are read, or upgraded, and answer as they did; see tests/frozen/README.md."""

import itertools
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.cli import main
from indexer.derive.nearest import vectors
from indexer.errors import DamagedFile, InvalidRequest
from indexer.jobs.build import add
from indexer.jobs.upkeep import upgrade as upgrading
from indexer.jobs.upkeep.upgrade import upgrade
from indexer.jobs.upkeep.verify import verify
from tests.frozen.answers import answers_of
from tests.frozen.make import FAISS_BYTES

FROZEN = Path(__file__).parents[1] / "frozen"
FORMATS = sorted(path.name for path in FROZEN.glob("format-*"))
INDEXES = [(path.parent, path.stem) for path in sorted(FROZEN.glob("format-*/*.json"))]
SIZES = FAISS_BYTES | {"inverted": {}}  # float16 in lists is not made any more: so small an index becomes flat

EACH = pytest.mark.parametrize(("format_", "kind"), INDEXES, ids=lambda part: getattr(part, "name", part))
OLD = pytest.mark.parametrize(("format_", "kind"), [(FROZEN / "format-2", "codes")], ids=["format-2"])


@pytest.fixture
def unpacked(format_: Path, kind: str, tmp_path: Path) -> Path:
    """A frozen index."""
    with tarfile.open(format_ / "indexes.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / kind


@pytest.fixture
def frozen(unpacked: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A frozen index, upgraded, with a FAISS file of its kind."""
    for name, size in SIZES[kind].items():
        monkeypatch.setattr(vectors, name, size)
    upgrade(unpacked)
    return unpacked


def assert_same(found: Any, frozen: Any, at: str = "answers") -> None:
    """Equal, where numbers that are computed anew may differ in their last digits."""
    if isinstance(frozen, dict):
        assert found.keys() == frozen.keys(), at
        for key in frozen:
            assert_same(found[key], frozen[key], f"{at}.{key}")
    elif isinstance(frozen, list):
        assert len(found) == len(frozen), at
        for number, pair in enumerate(zip(found, frozen, strict=True)):
            assert_same(*pair, f"{at}[{number}]")
    elif isinstance(frozen, float):
        assert found == pytest.approx(frozen, rel=1e-5, abs=1e-6), at
    else:
        assert found == frozen, at


def test_every_format_is_there() -> None:
    assert FORMATS == ["format-2", "format-3"]
    assert sum(path.stat().st_size for path in FROZEN.rglob("*") if path.is_file()) < 300_000 * len(FORMATS)


@EACH
def test_a_frozen_index_is_whole_and_answers_as_it_did(frozen: Path, format_: Path, kind: str) -> None:
    assert verify(frozen) == []
    with indexer.open(frozen) as index:
        answers = json.loads(json.dumps(answers_of(index)))
    before = json.loads((format_ / f"{kind}.json").read_text())
    if kind == "inverted":  # not all lists were looked at; a flat file leaves out none
        for layer in before["layers"].values():
            layer["similar"] = layer["exact"]
    if kind == "codes":  # how many lists are looked at is chosen when their file is made, which an upgrade makes anew
        for name, layer in before["layers"].items():
            found, were = answers["layers"][name].pop("similar"), layer.pop("similar")
            assert all(hit[-1] >= old[-1] - 1e-6 for hit, old in zip(found, were, strict=True))
    assert_same(answers, before)


@EACH
def test_a_frozen_index_takes_new_images_and_keeps_what_it_knew(format_: Path, frozen: Path, kind: str) -> None:
    """It has the maps that today's code computes from the same picture, so an old index can grow."""
    before = json.loads((format_ / f"{kind}.json").read_text())
    more = frozen.parent / "more"
    more.mkdir()
    manifest = frozen / "manifest.json"  # the image root is there again, with new pictures
    manifest.write_text(manifest.read_text().replace("/pictures/that/are/gone", str(more)))
    with indexer.open(frozen) as index:
        twin = index.image(before["images"][0]["id"])
        (more / "again.png").write_bytes(index.original(twin))
    Image.fromarray(np.full((30, 41, 3), 90, np.uint8)).save(more / "grey.png")
    add(frozen)
    assert verify(frozen) == []
    with indexer.open(frozen) as index:
        assert len(index.images) == len(before["images"]) + 2
        again = next(image for image in map(index.image, index.images.id.tolist()) if image.path == "again.png")
        for layer in index.layers:
            old, new = index.activation_maps(twin.id, layer), index.activation_maps(again.id, layer)
            np.testing.assert_allclose(new.astype(float), old.astype(float), rtol=2e-3, atol=2e-3)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@OLD
def test_an_old_index_says_how_it_is_upgraded(unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DamagedFile, match="format version 1, this program reads version 3; upgrade rewrites it"):
        indexer.open(unpacked)
    assert main(["info", str(unpacked)]) != 0
    assert "python -m indexer upgrade INDEX" in capsys.readouterr().err
    assert main(["upgrade", str(unpacked)]) == 0
    assert "generation 3, 8 images" in capsys.readouterr().out
    before = files_of(unpacked)
    assert main(["upgrade", str(unpacked)]) == 0
    assert "nothing was changed" in capsys.readouterr().out
    assert files_of(unpacked) == before


@OLD
@pytest.mark.parametrize("step", ["rewritten", "derive_and_publish"])
def test_an_upgrade_that_is_interrupted_is_taken_up_again(
    unpacked: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is published nothing has changed; then the files are those of a run that nothing befell."""
    whole = unpacked.parent / "whole"
    shutil.copytree(unpacked, whole)
    upgrade(whole)
    before, calls = files_of(unpacked), itertools.count()
    real = getattr(upgrading, step)

    def fail(*arguments: object) -> object:
        if step == "derive_and_publish" or next(calls) == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(upgrading, step, fail)
    with pytest.raises(KeyboardInterrupt):
        upgrade(unpacked)
    assert before.items() <= files_of(unpacked).items()
    monkeypatch.setattr(upgrading, step, real)
    written = next((unpacked / "shards").glob("*2.h5"))
    made = written.stat().st_mtime_ns
    upgrade(unpacked)
    assert written.stat().st_mtime_ns == made, "a shard that was written whole is kept"
    assert files_of(unpacked) == files_of(whole)


@OLD
def test_what_an_upgrade_refuses(unpacked: Path) -> None:
    shard = next((unpacked / "shards").iterdir())
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DamagedFile, match=rf"{shard.name}: is damaged; repair the index with the program that made it"):
        upgrade(unpacked)
    shard.write_bytes(data)
    (unpacked / "plan.jsonl").write_text("{}")
    with pytest.raises(InvalidRequest, match=r"unfinished job .* deleting plan\.jsonl"):
        upgrade(unpacked)
    (unpacked / "plan.jsonl").unlink()
    upgrade(unpacked)
    assert verify(unpacked) == []
