"""Networks as people bring them run right, or end in one line that says what is wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from indexer.cli import main
from indexer.errors import ConfigurationMismatch, InvalidRequest, ModelUnavailable
from indexer.index.loading import Loading, arguments_of, parse_arguments
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add, build
from indexer.network.forward import Network
from indexer.network.layers import default_layers
from indexer.network.loading.digest import state_digest
from indexer.network.models import load_model
from service.inference.loader import Networks
from tests.conftest import build_request, write_photos
from tests.indexer import given_models

MODELS = "tests.indexer.given_models:"
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 24, 36, 3), np.uint8)


def maps_of(network: Network, layer: str) -> np.ndarray:
    return network.run(PIXELS, lambda _, maps: maps.float().numpy().copy())[layer]


@pytest.mark.parametrize(("name", "kind"), [("half", "float16"), ("double", "float64"), ("mixed", "bfloat16")])
def test_other_precisions_run_in_float32_and_say_so(name: str, kind: str) -> None:
    loaded = load_model(MODELS + name, "none")
    assert loaded.notes == (f"{MODELS}{name} has weights in {kind}; it runs in float32",)
    inputs = (torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        expected = loaded.module[0](inputs).numpy()
    assert expected.dtype == np.float32
    np.testing.assert_allclose(maps_of(Network(loaded, ["0"]), "0"), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize("name", ["scripted_inside", "scripted_part"])
def test_scripted_parts_are_looked_at_as_a_whole(name: str) -> None:
    loaded = load_model(MODELS + name, "none")
    network = Network(loaded, ["0"])
    assert network.shapes == {"0": (8, 22, 34)}
    field = network.traces["0"].field
    assert (field.y.intervals[3], field.x.intervals[33]) == ((3, 6), (33, 36))  # a convolution of 3 x 3
    assert default_layers(loaded.module, (24, 36))[0] == "0"
    inputs = (torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        expected = loaded.module[0](inputs).numpy()
    np.testing.assert_allclose(maps_of(network, "0"), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_scripted_whole_is_refused() -> None:
    loaded = load_model(f"{MODELS}scripted", "none")
    for look in (lambda: Network(loaded, ["0"]), lambda: default_layers(loaded.module, (24, 36))):
        with pytest.raises(InvalidRequest, match="the whole network is TorchScript"):
            look()


def test_lazy_modules_take_their_sizes_from_an_input() -> None:
    loaded = load_model(f"{MODELS}lazy", "none")
    assert "lazy modules" in loaded.notes[0]
    assert Network(loaded, ["0", "3"]).shapes == {"0": (5, 22, 34), "3": (7, 1, 1)}
    assert load_model(f"{MODELS}lazy", "none").digest == loaded.digest


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("raising", {}, r"raises ValueError: no such run: resnet_7 \(.*given_models.py:\d+\)"),
        ("exiting", {}, "raises SystemExit: 2"),
        ("sized", {}, "missing a required argument: 'width'; give arguments as --model-args"),
        ("sized", {"width": 3, "wide": 4}, "got an unexpected keyword argument 'wide'"),
        ("sized", {"width": "x"}, "raises TypeError"),
        ("three", {}, "returned 3 things"),
        ("klass", {}, "returned the class ReLU"),
        ("nosuch", {}, "cannot be imported"),
    ],
)
def test_a_factory_that_fails_is_one_line(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        load_model(MODELS + name, "none", Loading(arguments_of(arguments)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["fixed", "breaking"])
def test_a_forward_that_fails_during_the_job_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(given_models.TOLD, "mean", -3.0)  # so that all are bright
    photos = write_photos(tmp_path / "photos", seed=1, count=9)
    layer = {"fixed": "fc", "breaking": "1"}[name]
    arguments = ["build", str(photos), "--out", str(tmp_path / "i"), "--model", MODELS + name, "--layers", layer]
    assert main([*arguments, "--batch-size", "2"]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("unitscope: the network, given ")
    assert {"fixed": "--batch-size 1 helps", "breaking": "KeyError"}[name] in last
    assert "given_models.py:" in last


def test_arguments_are_json_or_text_and_kept(tmp_path: Path) -> None:
    given = parse_arguments(["width=4", "bias=false", "kind=b c", "a=[1,2]", 'b="7"', "c=NaN", "d="])
    assert Loading(given).keywords == {
        "a": [1, 2], "b": "7", "bias": False, "c": "NaN", "d": "", "kind": "b c", "width": 4,
    }  # fmt: skip
    for wrong, message in [(["width"], "must be key=value"), (["a=1", "a=2"], "gives a twice"), (["a-b=1"], "key=")]:
        with pytest.raises(InvalidRequest, match=message):
            parse_arguments(wrong)
    photos = write_photos(tmp_path / "photos", seed=1, count=3)
    loading = Loading(parse_arguments(["width=4", "bias=false"]))
    request = build_request(photos, model=f"{MODELS}sized", layers=["1"], preprocessing={}, loading=loading)
    build(tmp_path / "index", request)
    configuration = read_manifest(tmp_path / "index").configuration
    assert configuration.loading == loading
    assert hash(configuration) == hash(read_manifest(tmp_path / "index").configuration)
    write_photos(tmp_path / "photos", seed=2, count=5)
    assert add(tmp_path / "index").images == 5
    other = Loading(parse_arguments(["width=4", "bias=false", "kind=b"]))
    with pytest.raises(ConfigurationMismatch, match=r"model\.arguments"):
        build(tmp_path / "index", replace(request, loading=other))
    picture = next(photos.rglob("*.png")).read_bytes()
    for told in ((), other.arguments):
        with pytest.raises(ModelUnavailable, match="other arguments"):
            Networks(f"{MODELS}sized", None, 10**6, told).forward(configuration, picture)
    assert (
        Networks(f"{MODELS}sized", None, 10**6, loading.arguments).forward(configuration, picture).maps["1"].shape[0]
        == 4
    )


@pytest.mark.filterwarnings("ignore:Sparse CSR:UserWarning")
def test_states_that_are_more_than_tensors_have_a_digest() -> None:
    class Odd(nn.Module):
        def __init__(self, last: int) -> None:
            super().__init__()
            for name, value in {
                "flags": torch.tensor([True, False]), "empty": torch.empty(0, 3), "scalar": torch.tensor(2.5),
                "sparse": torch.eye(3).to_sparse(), "rows": torch.eye(3).to_sparse_csr(),
                "turned": torch.ones(2, 3).T, "short": torch.ones(2, dtype=torch.bfloat16),
                "wave": torch.ones(2, dtype=torch.complex64).conj(), "counts": torch.tensor([1, last]),
            }.items():  # fmt: skip
                self.register_buffer(name, value)

    assert state_digest(Odd(2)) == state_digest(Odd(2))
    assert state_digest(Odd(2)) != state_digest(Odd(3))
    extra = given_models.Extra()
    before = state_digest(extra)
    extra.epochs = extra.epochs | {"done": 4}
    assert state_digest(extra) != before
    with pytest.raises(InvalidRequest, match="meta device"):
        state_digest(nn.Linear(2, 2, device="meta"))
