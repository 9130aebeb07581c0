"""Checkpoints as people have them: what fits the network is loaded, else a line says what does not."""

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from indexer.errors import InvalidRequest, ModelUnavailable
from indexer.index.loading import Loading
from indexer.network.loading.digest import state_digest
from indexer.network.models import LoadedModel, load_model
from tests.indexer import given_models

MODEL = "tests.indexer.given_models:told"


def state(seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return given_models.plain().state_dict()


def under(prefix: str, seed: int = 1) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state(seed).items()}


def load(tmp_path: Path, content: Any, model: str = MODEL, **options: Any) -> LoadedModel:
    torch.save(content, tmp_path / "w.pth")
    return load_model(model, str(tmp_path / "w.pth"), Loading(**options))


def wanted(seed: int = 1) -> str:
    module = given_models.plain()
    module.load_state_dict(state(seed))
    return state_digest(module)


FILES = {
    "as it is": (state, ""),
    "model": (lambda: {"model": state(), "epoch": 1}, "under 'model'"),
    "lightning": (lambda: {"state_dict": under("model.")}, "under 'state_dict'; 'model.' was taken off"),
    "data parallel": (lambda: under("module."), "'module.' was taken off"),
    "compiled": (lambda: {"net": under("_orig_mod.")}, "under 'net'; '_orig_mod.' was"),
    "both": (lambda: under("module._orig_mod."), "'module._orig_mod.' was"),
    "ema alone": (lambda: {"ema": {"module": state()}, "step": 2}, "under 'ema.module'"),
    "a backbone": (
        lambda: under("backbone.") | {"head.weight": torch.ones(3)},
        r"'backbone.' was taken off their names; 1 names without it were left out \(head.weight\)",
    ),
    "an optimizer": (
        lambda: {"model": state(), "optimizer": {"state": {0: {"exp_avg": torch.ones(8, 3, 3, 3)}}}},
        "under 'model'",
    ),
    "equal twice": (lambda: {"model": state(), "ema": state()}, "under 'model'"),
    "options": (lambda: {"args": argparse.Namespace(lr=0.1, out=Path("x")), "model": state()}, "under 'model'"),
    "ordered": (lambda: OrderedDict(state()), ""),
    "half": (lambda: {name: value.double() for name, value in state().items()}, ""),
    "numbers beside": (lambda: state() | {"epoch": 3}, ""),
}


@pytest.mark.parametrize("name", FILES)
def test_what_fits_is_found_and_said(tmp_path: Path, name: str) -> None:
    content, said = FILES[name]
    loaded = load(tmp_path, content())
    assert loaded.digest == wanted()
    if said:
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(" ".join(loaded.notes))
    else:
        assert loaded.notes == ()


def test_a_real_part_called_module_stays(tmp_path: Path) -> None:
    own = given_models.Wrapped()
    for content in (own.state_dict(), {"module." + name: value for name, value in own.state_dict().items()}):
        assert load(tmp_path, content, "tests.indexer.given_models:wrapped").digest == state_digest(own)
    inner = {name.removeprefix("module."): value for name, value in own.state_dict().items()}
    loaded = load(tmp_path, inner, "tests.indexer.given_models:wrapped")
    assert loaded.digest == state_digest(own)
    assert "'module.' was put before their names" in loaded.notes[0]


def test_safetensors(tmp_path: Path) -> None:
    save_file(under("model."), tmp_path / "w.safetensors")
    loaded = load_model(MODEL, str(tmp_path / "w.safetensors"))
    assert loaded.digest == wanted()
    (tmp_path / "bad.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidRequest, match="not a file of safetensors"):
        load_model(MODEL, str(tmp_path / "bad.safetensors"))


TWO = {"model": state(1), "ema": state(2)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TWO, "two of its parts fit equally well, 'model' and 'ema'; say which with --weights-key"),
        (under("student.") | under("teacher.", 2), "with the prefix 'student.' and .*say which with --strip-prefix"),
        ({"a.weight": torch.ones(2)}, r"0 fit; 4 are missing \(0.weight, 0.bias, 4.weight and 1 more\).*a.weight"),
        (
            state() | {"0.weight": torch.ones(8, 3, 5, 5)},
            r"another shape \(0.weight \(8, 3, 5, 5\) in the file, \(8, 3, 3, 3\) in the network\)",
        ),
        (state() | {"9.weight": torch.ones(2)}, r"1 are not the network's \(9.weight\).*--no-strict takes what fits"),
        ({"epoch": 3, "lr": 0.1}, "no state dict .* but epoch, lr"),
        ([torch.ones(2)], "holds a list, not a state dict"),
        (torch.ones(2), "holds a Tensor, not a state dict"),
        ({}, "holds no state dict"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_a_key_and_a_prefix_choose(tmp_path: Path) -> None:
    assert load(tmp_path, TWO, weights_key="ema").digest == wanted(2)
    both = under("student.") | under("teacher.", 2)
    assert load(tmp_path, both, strip_prefix="teacher").digest == wanted(2)
    assert load(tmp_path, {"a": {"b.c": both}}, strip_prefix="student.", weights_key="a.b.c").digest == wanted(1)
    with pytest.raises(InvalidRequest, match=r"--weights-key 'emma'; there are some under model, ema"):
        load(tmp_path, TWO, weights_key="emma")
    with pytest.raises(InvalidRequest, match="4 are missing"):
        load(tmp_path, under("module."), strip_prefix="")


def test_not_strict_says_what_was_left(tmp_path: Path) -> None:
    part = {name: value for name, value in state().items() if name != "4.bias"} | {"head": torch.ones(1)}
    loaded = load(tmp_path, part, strict=False)
    assert torch.equal(loaded.module[0].weight, part["0.weight"])
    assert "3 of 4 weights" in loaded.notes[0]
    assert "(4.bias); 1 of the file are not used (head)" in loaded.notes[0]
    assert load(tmp_path, part, strict=False).digest == loaded.digest, "what is left is the same every time"
    with pytest.raises(InvalidRequest, match="nothing in"):
        load(tmp_path, {"a.weight": torch.ones(2)}, strict=False)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_files_that_are_code_are_refused(tmp_path: Path) -> None:
    torch.save(given_models.plain(), tmp_path / "whole.pth")
    with pytest.raises(
        InvalidRequest, match=r"weights_only\): it holds an object of torch.nn.*save network.state_dict"
    ):
        load_model(MODEL, str(tmp_path / "whole.pth"))
    torch.jit.save(torch.jit.script(given_models.plain()), tmp_path / "script.pth")
    with pytest.raises(InvalidRequest, match="TorchScript program; name it as --model"):
        load_model(MODEL, str(tmp_path / "script.pth"))
    with pytest.raises(ModelUnavailable, match="there is no weights file"):
        load_model(MODEL, str(tmp_path / "none.pth"))
    with pytest.raises(InvalidRequest, match="--weights-key: say how a weights file is read, and --weights names none"):
        load_model(MODEL, "none", Loading(weights_key="model"))


class _Old(nn.Module):
    """Wants a batch norm's counter that old files lack."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)


def old() -> tuple[nn.Module, dict]:
    return _Old(), given_models.TOLD


@pytest.mark.parametrize("prefix", ["", "module."])
def test_files_from_before_a_counter_was_kept(tmp_path: Path, prefix: str) -> None:
    content = {prefix + name: value for name, value in _Old().state_dict().items() if "num_batches" not in name}
    assert load(tmp_path, content, "tests.indexer.test_weights:old").digest == state_digest(_Old())
