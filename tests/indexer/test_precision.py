"""Precisions: what folding may touch, what an index records of it, and what is said of its cost."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import indexer
from indexer.cli import main
from indexer.defaults import PRECISIONS
from indexer.errors import ConfigurationMismatch, DamagedFile, InvalidRequest
from indexer.images.reading import read_picture
from indexer.index.configuration import Configuration
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add, build
from indexer.jobs.info import describe
from indexer.jobs.precision_report import ranks_kept
from indexer.jobs.upkeep.verify import repair
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.network.precision import fold_batch_norms, in_precision
from indexer.network.restore import network_of
from tests.conftest import build_request, write_photos
from tests.marks import seeds
from tests.own_models import PREPROCESSING, normed

SIZE = PREPROCESSING["crop"]
NORMED = {"model": "tests.own_models:normed", "weights": "none", "preprocessing": {}, "batch_size": 4}


def random_normed(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return normed()[0].eval()


def outputs(module: nn.Module, layer: str, batch: torch.Tensor) -> torch.Tensor:
    found: list[torch.Tensor] = []
    with module.get_submodule(layer).register_forward_hook(lambda m, i, output: found.append(output.clone())):
        module(batch)
    return found[0]


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize(
    ("layer", "folded"),
    [
        ("early.norm", {"early.norm", "late.norm"}),
        ("early.conv", {"late.norm"}),  # what it gives would be another
        ("early", {"early.norm", "late.norm"}),
        ("fork", {"early.norm", "late.norm"}),
        ("fork_norm", {"early.norm", "late.norm"}),
        ("late.conv", {"early.norm"}),
        ("late", {"early.norm", "late.norm"}),
    ],
)
def test_only_what_changes_no_asked_for_layer_is_folded(layer: str, folded: set[str], seed: int) -> None:
    module, batch = random_normed(seed), torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        expected = outputs(module, layer, batch)
        assert set(fold_batch_norms(module, [layer], SIZE)) == folded
        torch.testing.assert_close(outputs(module, layer, batch), expected, rtol=1e-4, atol=1e-4)
    left = {name for name, part in module.named_modules() if isinstance(part, nn.BatchNorm2d)}
    assert left == {"early.norm", "fork_norm", "again_norm", "late.norm"} - folded


@pytest.mark.parametrize("layers", [["layer3"], ["bn1", "layer2.0.conv1", "layer4"], ["conv1", "layer1.0.bn2", "fc"]])
def test_resnet_is_folded(layers: list[str]) -> None:
    torch.manual_seed(1)
    module = torchvision.models.resnet18(weights=None).eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.2, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    batch = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        expected = {layer: outputs(module, layer, batch) for layer in layers}
        ready = in_precision(module, layers, (96, 64), "float32-folded")
        for layer in layers:
            torch.testing.assert_close(outputs(ready, layer, batch), expected[layer], rtol=1e-4, atol=1e-4)
            assert torch.equal(outputs(module, layer, batch), expected[layer]), "the module itself was changed"
    convolutions = sum(layer.rpartition(".")[2].startswith("conv") for layer in layers)
    assert sum(isinstance(part, nn.BatchNorm2d) for part in ready.modules()) == convolutions


def test_what_computes_something_else_is_not_folded() -> None:
    class Doubling(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    convolution = nn.Conv2d(3, 4, 3)
    cases = [
        nn.Sequential(convolution, Doubling(4)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.BatchNorm2d(4)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
    ]
    for module in cases:
        assert fold_batch_norms(module.eval(), [], SIZE) == []
        with pytest.raises(InvalidRequest, match="no batch norm that folds"):
            in_precision(module, ["0"], SIZE, "float32-folded")
    shared = nn.Sequential(convolution, nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1), convolution, nn.BatchNorm2d(4)).eval()
    assert fold_batch_norms(shared, [], SIZE) == []


def test_unknown_precisions_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="one of float32, float32-folded, tf32, bfloat16, not 'float16'"):
        Network(load_model("tests.own_models:normed", "none"), ["late"], precision="float16")
    with pytest.raises(SystemExit):
        main(["build", str(tmp_path), "--model", "x", "--out", str(tmp_path / "i"), "--precision", "half"])
    assert re.search("float32.*float32-folded.*bfloat16", capsys.readouterr().err)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32-folded", 1e-4), ("tf32", 1e-4), ("bfloat16", 0.1)])
def test_a_network_in_another_precision(precision: str, tolerance: float) -> None:
    model = load_model("tests.own_models:normed", "none")
    layers, rng = ["early.conv", "fork", "late"], np.random.default_rng(3)
    pixels = rng.integers(0, 256, (5, *SIZE, 3), np.uint8)
    exact = Network(model, layers)
    other = Network(model, layers, precision=precision)
    assert other.shapes == exact.shapes
    copied = lambda layer, maps: maps.to(torch.float32, copy=True)  # noqa: E731
    expected, found = exact.run(pixels, copied), other.run(pixels, copied)
    for layer in layers:
        atol = tolerance * float(expected[layer].std())
        torch.testing.assert_close(found[layer], expected[layer], rtol=tolerance, atol=atol)
    assert not torch.equal(found["late"], expected["late"])
    state = {name: value.dtype for name, value in model.module.state_dict().items() if value.is_floating_point()}
    assert set(state.values()) == {torch.float32}, "the loaded model itself was changed"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=8, count=30)


def normed_build(index: Path, photos: Path, precision: str, **changes: object):
    request = build_request(photos, **(NORMED | {"layers": ("early", "late"), "shard_size": 24} | changes))
    return build(index, replace(request, precision=precision))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_index_stays_in_its_precision(photos: Path, tmp_path: Path, precision: str) -> None:
    manifest = normed_build(tmp_path / "index", photos, precision)
    assert read_manifest(tmp_path / "index") == manifest
    assert describe(tmp_path / "index")["precision"] == precision
    assert network_of(manifest.configuration).precision == precision
    for other in set(PRECISIONS) - {precision}:
        with pytest.raises(ConfigurationMismatch, match=f"precision: {precision} there, {other} here"):
            normed_build(tmp_path / "index", photos, other)
    shard = tmp_path / "index" / manifest.shards[0].file
    before = shard.read_bytes()
    shard.write_bytes(before[: len(before) // 2])
    repair(tmp_path / "index")
    assert shard.read_bytes() == before


def test_images_are_added_and_looked_up_in_the_precision_of_the_index(photos: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    first, second = tmp_path / "first.csv", tmp_path / "all.csv"
    for listing, count in ((first, 20), (second, 30)):
        listing.write_text("path\n" + "".join(f"{file.relative_to(photos)}\n" for file in files[:count]))
    normed_build(tmp_path / "whole", second, "bfloat16", image_root=photos, batch_size=1)
    normed_build(tmp_path / "grown", first, "bfloat16", image_root=photos, batch_size=1)
    add(tmp_path / "grown", second)
    with indexer.open(tmp_path / "whole") as whole, indexer.open(tmp_path / "grown") as grown:
        network = grown.network()
        for record in whole.find_images(limit=99).items:
            same = next(other for other in grown.find_images(limit=99).items if other.path == record.path)
            kept = grown.activation_maps(same.id, "late")
            assert (whole.activation_maps(record.id, "late") == kept).all()
            assert (network.maps([grown.picture(same)])["late"][0].astype(np.float16) == kept).all()


def test_an_index_without_a_word_about_precision_has_float32() -> None:
    folded = Configuration("m", "none", "0" * 64, load_model("tests.own_models:small", "none").preprocessing, ())
    data = folded.to_json()
    assert "precision" not in data["model"]
    assert Configuration.from_json(data).precision == "float32"
    data["model"]["precision"] = "float16"
    with pytest.raises(ValueError, match="'float16' is none of"):
        Configuration.from_json(data)


def test_a_manifest_of_an_unknown_precision_is_refused(photos: Path, tmp_path: Path) -> None:
    normed_build(tmp_path / "index", photos, "bfloat16")
    path = tmp_path / "index" / "manifest.json"
    path.write_text(path.read_text().replace('"bfloat16"', '"bfloat17"'))
    with pytest.raises(DamagedFile, match="bfloat17"):
        read_manifest(tmp_path / "index")


def slowly_kept(photos: Path, layer: str, top: int) -> tuple[float, float]:
    """Sort the images of each neuron twice and compare one by one."""
    model = load_model("tests.own_models:normed", "none")
    exact, ours = Network(model, ["early", "late"]), Network(model, ["early", "late"], precision="bfloat16")
    pictures = [read_picture(file.read_bytes()) for file in sorted(photos.rglob("*.png"))[:24]]
    heights = [
        [network.maps([picture])[layer][0].max(axis=(1, 2)) for picture in pictures] for network in (exact, ours)
    ]
    same, in_place, neurons = 0, 0, 0
    for neuron in range(len(heights[0][0])):
        columns = [[peaks[neuron] for peaks in of_images] for of_images in heights]
        if min(columns[0]) == max(columns[0]):
            continue
        neurons += 1
        first, second = (sorted(range(24), key=lambda n, c=column: (-c[n], n))[:top] for column in columns)
        same += len(set(first) & set(second))
        in_place += sum(a == b for a, b in zip(first, second, strict=True))
    return same / top / neurons, in_place / top / neurons


def test_what_is_said_of_ranks_is_what_counting_them_slowly_says(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("indexer.jobs.precision_report.TOP", 7)
    index, batch = tmp_path / "index", ["--batch-size", "1", "--shard-size", "24"]
    arguments = ["--model", NORMED["model"], "--weights", "none", "--layers", "early,late", "--out", str(index)]
    assert main(["build", str(photos), *arguments, *batch, "--precision", "bfloat16"]) == 0
    said = capsys.readouterr().out
    for kept in ranks_kept(index):
        assert (kept.images, kept.top) == (24, 7)
        assert (kept.same, kept.in_place) == pytest.approx(slowly_kept(photos, kept.layer, 7))
        assert kept.in_place < 1
        assert re.search(rf"{kept.layer}: {kept.same:.1%} of the top 7 .* {kept.in_place:.1%} at the same rank", said)
    assert main(["build", str(photos), *arguments, *batch, "--precision", "float32"]) == 1
    assert "precision: bfloat16 there, float32 here" in capsys.readouterr().err
