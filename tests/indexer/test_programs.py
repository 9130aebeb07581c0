"""Files that are a network with its code, as ``--model``: what they answer, and who may load them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from indexer.cli import main
from indexer.errors import InvalidRequest, ModelUnavailable
from indexer.index.manifest import read_manifest
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.network.restore import network_of
from service.inference.loader import Networks
from tests.conftest import write_photos

SIZES = ["--resize", "24", "--crop", "24x36", "--mean", "0.5", "--std", "0.25"]
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 24, 36, 3), np.uint8)


class Skipping(nn.Module):
    """A residual branch, whose convolution is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.act = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.stem(x))
        return self.act(x + self.block(x))


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(5)
    return Skipping().eval()


@pytest.fixture(scope="module")
def exported(module: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    batch = torch.export.Dim("batch", min=1, max=1024)
    path = tmp_path_factory.mktemp("programs") / "skipping.pt2"
    program = torch.export.export(module, (torch.zeros(2, 3, 24, 36),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=1, count=3)


@pytest.fixture(scope="module")
def built(exported: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    index = tmp_path_factory.mktemp("built") / "index"
    arguments = ["build", str(photos), "--out", str(index), "--model", str(exported), "--layers", "stem,block"]
    assert main([*arguments, *SIZES]) == 0
    return index


def eager(module: nn.Module, layer: str) -> np.ndarray:
    """What a hook on the network itself sees."""
    seen: list[torch.Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.no_grad():
        module((torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25)
    handle.remove()
    return seen[0].numpy()


def test_an_exported_program_has_the_maps_of_the_network_that_it_was_made_of(module: nn.Module, built: Path) -> None:
    configuration = read_manifest(built).configuration
    network = network_of(configuration, model=configuration.model)
    maps = network.run(PIXELS, lambda _, maps: maps.float().numpy().copy())
    for layer in ("stem", "block"):
        np.testing.assert_allclose(maps[layer], eager(module, layer), atol=1e-5)


def test_a_factory_may_return_an_exported_program() -> None:
    loaded = load_model("tests.indexer.given_models:exported", "none")
    assert "an exported program runs as it was exported" in loaded.notes
    assert Network(loaded, ["0"]).shapes == {"0": (8, 22, 34)}


def test_a_flat_graph_has_no_layers_and_the_line_says_so(capsys: pytest.CaptureFixture, photos: Path) -> None:
    """The module of an exported program calls functions, not modules."""
    arguments = ["build", str(photos), "--out", "unused", "--model", "tests.indexer.given_models:flat", "--layers", "0"]
    assert main([*arguments, *SIZES]) == 1
    assert "return the exported program itself" in capsys.readouterr().err.splitlines()[-1]


def test_a_program_is_loaded_only_where_a_person_names_it(
    exported: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = read_manifest(built).configuration
    picture = write_photos(tmp_path / "more", seed=7, count=1)
    upload = next(picture.rglob("*.png")).read_bytes()
    with pytest.raises(ModelUnavailable, match="only if you name it with --model"):
        network_of(configuration)
    with pytest.raises(ModelUnavailable, match="start the service with --model"):
        Networks(None, None, 10**6).forward(configuration, upload)
    maps = Networks(str(exported), None, 10**6).forward(configuration, upload).maps
    assert maps["stem"].shape == (6, 11, 17)
    capsys.readouterr()
    assert main(["add", str(built)]) == 1
    assert "--model" in capsys.readouterr().err.splitlines()[-1]
    assert main(["add", str(built), "--model", str(exported)]) == 0


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["script", "trace"])
def test_a_torchscript_file_as_a_whole_is_refused_in_a_line(
    module: nn.Module, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture, kind: str
) -> None:
    made = torch.jit.script(module) if kind == "script" else torch.jit.trace(module, torch.zeros(1, 3, 24, 36))
    torch.jit.save(made, tmp_path / "net.pt")
    arguments = ["build", str(photos), "--out", str(tmp_path / "i"), "--model", str(tmp_path / "net.pt")]
    assert main([*arguments, "--layers", "stem", *SIZES]) == 1
    assert "the whole network is TorchScript" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "i").exists()


def test_files_that_are_no_programs(tmp_path: Path, module: nn.Module) -> None:
    weights, text = tmp_path / "weights.pt", tmp_path / "text.pt2"
    torch.save(module.state_dict(), weights)
    text.write_text("a program")
    for path in (weights, text):
        with pytest.raises(InvalidRequest, match="is not a program"):
            load_model(str(path), "none")
    with pytest.raises(ModelUnavailable, match="there is no model file"):
        load_model(str(tmp_path / "other.pt2"), "none")
