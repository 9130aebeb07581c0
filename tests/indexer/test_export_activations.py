"""Activations for other people's programs: every row of files and data sets is a vector of the kept maps."""

import csv
import json
import pickle
import sys
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch.utils.data import DataLoader

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotAnIndex, NotFound, NotInstalled
from indexer.exports.activations import torch_data
from indexer.exports.activations.files import export_activations
from indexer.exports.activations.rows import Cells
from indexer.exports.activations.torch_data import Activations, ActivationStream
from indexer.query.index import Index
from tests.marks import seeds

LAYER = "features.12"


@pytest.fixture(scope="module")
def index(small_index: Path) -> Index:
    return indexer.open(small_index)


@pytest.fixture(scope="module")
def vectors(index: Index) -> dict[tuple[int, int, int], np.ndarray]:
    """The vector of every cell, by image, y, x."""
    found = {}
    for image in index.images.id.tolist():
        maps = index.activation_maps(image, LAYER)
        for y, x in np.ndindex(maps.shape[1:]):
            found[image, y, x] = maps[:, y, x]
    return found


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    about = json.loads((folder / "layer.json").read_text())
    parts = []
    for file in about["files"]:
        if file["activations"].endswith(".npy"):
            part = np.load(folder / file["activations"]), np.load(folder / file["where"])
        else:
            tensors = load_file(folder / file["activations"])
            part = tensors["activations"], tensors["rows"]
        assert part[0].shape == (file["rows"], about["channels"])
        assert part[0].dtype == about["dtype"]
        parts.append(part)
    assert {path.name for path in folder.iterdir()} == {"layer.json", "images.csv"} | set(
        chain.from_iterable((file["activations"], file["where"]) for file in about["files"])
    )
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def assert_rows(found: np.ndarray, where: np.ndarray, vectors: dict[tuple[int, int, int], np.ndarray]) -> None:
    for vector, cell in zip(found, where.tolist(), strict=True):
        np.testing.assert_array_equal(vector.astype(np.float32), vectors[tuple(cell)])


@pytest.mark.parametrize(
    ("format", "dtype", "rows"), [("npy", "float16", 100), ("safetensors", "float32", 7), ("npy", "float32", 10**6)]
)
def test_files_have_every_cell_once(
    index: Index, vectors: dict, tmp_path: Path, format: str, dtype: str, rows: int
) -> None:
    out = tmp_path / "new" / "activations"
    size = rows * 512 * np.dtype(dtype).itemsize
    about = export_activations(index, LAYER, out, format=format, dtype=dtype, file_bytes=size)
    assert json.loads((out / "layer.json").read_text()) == about
    assert {file["rows"] for file in about["files"][:-1]} <= {rows}
    assert len(about["files"]) == -(-len(vectors) // rows)
    found, where = read(out)
    assert [tuple(cell) for cell in where.tolist()] == list(vectors)
    assert_rows(found, where, vectors)
    with (out / "images.csv").open(encoding="utf-8") as file:
        records = [index.image(number) for number in index.images.id.tolist()]
        expected = [[str(image.id), image.path, image.class_ or ""] for image in records]
        assert list(csv.reader(file))[1:] == expected


@pytest.mark.parametrize("seed", seeds(2))
def test_some_cells_of_each_image_by_lot(index: Index, vectors: dict, tmp_path: Path, seed: int) -> None:
    cells = Cells(3, seed)
    export_activations(index, LAYER, tmp_path / "a", cells=cells, class_="boats")
    found, where = read(tmp_path / "a")
    assert_rows(found, where, vectors)
    boats = [image.id for image in index.find_images(class_="boats", limit=100).items]
    assert where[:, 0].tolist() == np.repeat(boats, 3).tolist()
    assert len(set(map(tuple, where.tolist()))) == len(where)
    stream = ActivationStream(index.path, LAYER, cells, "boats", seed=seed, mixed=4)
    assert len(stream) == len(where)
    assert sorted(tuple(place.tolist()) for _, place in stream) == sorted(map(tuple, where.tolist()))


def test_a_data_set_gives_any_row(index: Index, vectors: dict) -> None:
    data = Activations(index.path, LAYER)
    assert len(data) == len(vectors)
    for number, cell in list(enumerate(vectors))[::97]:
        vector, where = data[number]
        assert tuple(where.tolist()) == cell
        assert torch.equal(vector, torch.from_numpy(vectors[cell]))
    with pytest.raises(IndexError, match=f"row {len(data)} of {len(data)}"):
        data[len(data)]
    batches = DataLoader(pickle.loads(pickle.dumps(data)), batch_size=50, shuffle=True)
    for batch, where in batches:
        assert_rows(batch.numpy(), where.numpy(), vectors)


def test_an_index_is_named_by_its_path_or_by_a_text(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(index.path.parent)
    named = [index.path, str(index.path), index.path.name, f"file://{index.path}"]
    rows = [Activations(name, LAYER)[5] for name in named]
    streams = [next(iter(ActivationStream(name, LAYER, Cells(2, 3)))) for name in named]
    for vector, where in rows:
        assert torch.equal(vector, rows[0][0])
        assert torch.equal(where, rows[0][1])
    for vector, where in streams:
        assert torch.equal(vector, streams[0][0])
        assert torch.equal(where, streams[0][1])
    for kind in (Activations, ActivationStream):
        with pytest.raises(NotAnIndex):
            kind("nowhere", LAYER)


@pytest.mark.parametrize("seed", seeds(2))
def test_a_stream_gives_every_row_once_and_mixed(
    index: Index, vectors: dict, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = ActivationStream(index.path, LAYER, seed=seed, mixed=6)
    order = [tuple(where.tolist()) for _, where in stream]
    assert order == [tuple(where.tolist()) for _, where in stream], "the same seed, the same order"
    assert sorted(order) == sorted(vectors)
    assert order != [tuple(w.tolist()) for _, w in ActivationStream(index.path, LAYER, seed=seed + 1, mixed=6)]
    assert len({image for image, _, _ in order[:50]}) > 3
    parts = []
    for worker in range(3):
        info = SimpleNamespace(id=worker, num_workers=3)
        monkeypatch.setattr(torch_data, "get_worker_info", lambda info=info: info)
        parts += [tuple(where.tolist()) for _, where in stream]
    assert sorted(parts) == sorted(vectors)


def test_the_command(small_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["export-activations", str(small_index), "--layer", LAYER, "--cells", "2", "--out", str(tmp_path / "out")]
    assert main(options) == 0
    assert "80 vectors of 512 activations, of 40 images, in 1 files" in capsys.readouterr().out
    assert len(read(tmp_path / "out")[0]) == 80
    assert main(options) == 1
    assert "exists; name a folder that does not exist yet" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(NotInstalled, match=r"^files of safetensors need .*: install unitscope\[safetensors\]$"):
        export_activations(index, LAYER, tmp_path / "a", format="safetensors")


def test_wrong_wishes_are_a_line(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="format must be one of npy, safetensors, not 'pickle'"):
        export_activations(index, LAYER, tmp_path / "a", format="pickle")
    with pytest.raises(InvalidRequest, match="take 1 or more cells of each image, not 0"):
        export_activations(index, LAYER, tmp_path / "a", cells=Cells(0))
    with pytest.raises(InvalidRequest, match="seed must be at least 0, not -1"):
        export_activations(index, LAYER, tmp_path / "a", cells=Cells(1, seed=-1))
    with pytest.raises(NotFound):
        export_activations(index, "nowhere", tmp_path / "a")
    with pytest.raises(NotFound):
        export_activations(index, LAYER, tmp_path / "a", class_="no such class")
    assert not list(tmp_path.iterdir())
