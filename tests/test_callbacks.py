"""A training that indexes itself: each index has the weights of its step, and a trend comes of them."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

import indexer
from indexer.errors import InvalidRequest, NotInstalled
from indexer.index.manifest import read_manifest
from tests import own_models
from tests.conftest import write_photos
from unitscope import callbacks, cli
from unitscope.callbacks import Checkpoints, NotIndexed, lightning_callback

MODEL = "tests.own_models:small"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", seed=1, count=6)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds in this process, which takes a tenth of the time."""

    def run(words: list[str], **named: object) -> "subprocess.CompletedProcess[str]":
        assert words[:3] == [sys.executable, "-m", "unitscope"]
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
            status = cli.main(words[3:])
        return subprocess.CompletedProcess(words, status, "", said.getvalue())

    monkeypatch.setattr(callbacks.subprocess, "run", run)


def train(network: nn.Module, steps: int = 3) -> dict[str, torch.Tensor]:
    """Some steps of SGD; gives a copy of the weights after them."""
    optimizer = torch.optim.SGD(network.parameters(), 1e-5)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.rand(2, 3, 20, 28)).square().sum().backward()
        optimizer.step()
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.usefixtures("here")
def test_a_training_loop_fills_a_trend(tmp_path: Path, photos: Path) -> None:
    network = own_models.small()[0]
    checkpoints = Checkpoints(tmp_path / "run", photos, MODEL, layers=["2", "5"], options=["--batch-size", "4"])
    weights = {}
    for step in (5, 100):
        weights[step] = train(network)
        index = checkpoints(step, network)
        assert index == tmp_path / "run" / "indexes" / f"step-{step:08d}"
        kept = torch.load(read_manifest(index).configuration.weights, weights_only=True)
        assert kept.keys() == weights[step].keys()
        assert all(torch.equal(kept[name], weights[step][name]) for name in kept)
        with indexer.open(index) as opened:
            assert list(opened.layers) == ["2", "5"]
            assert len(opened.images) == 6
    assert len({read_manifest(index).configuration.weights_digest for index in checkpoints.indexes}) == 2
    assert checkpoints.trend()["steps"] == [5, 100]
    train(network)
    before = (index / "manifest.json").read_bytes()
    assert checkpoints(100, network) == index, "a training that is taken up again keeps what is there"
    assert (index / "manifest.json").read_bytes() == before


def test_the_index_is_built_by_a_process_of_its_own(tmp_path: Path, photos: Path) -> None:
    wrapped = nn.DataParallel(own_models.small()[0])
    index = Checkpoints(tmp_path / "run", photos, MODEL, layers=["0"])(0, wrapped)
    assert index is not None
    with indexer.open(index) as opened:
        assert opened.layer("0").info.channels == 6


@pytest.mark.usefixtures("here")
def test_a_step_that_cannot_be_indexed_is_a_warning(tmp_path: Path, photos: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run", photos, MODEL, layers=["nowhere"])
    with pytest.warns(NotIndexed, match="step 3 was not indexed: .*nowhere"):
        assert checkpoints(3, own_models.small()[0]) is None
    assert checkpoints.indexes == []
    with pytest.raises(InvalidRequest, match="a step is a number from 0 to 99999999, not -1"):
        checkpoints(-1, own_models.small()[0])
    with pytest.raises(InvalidRequest, match="at least two indexes"):
        checkpoints.trend()


def test_of_several_processes_the_first_alone_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert Checkpoints(tmp_path / "run", tmp_path, MODEL)(0, own_models.small()[0]) is None
    assert not (tmp_path / "run").exists()


def test_lightning_calls_at_the_ends_of_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the package, whose callbacks have this method."""
    package = ModuleType("pytorch_lightning")
    package.Callback = type("Callback", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", package)
    called: list[tuple[int, object]] = []
    callback = lightning_callback(lambda step, net: called.append((step, net)), lambda module: module.net, every=2)
    assert isinstance(callback, package.Callback)
    for epoch in range(4):
        trainer = SimpleNamespace(current_epoch=epoch, global_step=10 * (epoch + 1))
        callback.on_train_epoch_end(trainer, SimpleNamespace(net="net"))
    assert called == [(20, "net"), (40, "net")]
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    with pytest.raises(NotInstalled, match="needs lightning"):
        lightning_callback(lambda step, net: None, lambda module: module.net)
