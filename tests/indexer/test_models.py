"""Models by name, weights from every source, layers by default."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from indexer.errors import BadActivations, InvalidRequest, ModelUnavailable
from indexer.images.preprocessing import Preprocessing
from indexer.network.forward import Network
from indexer.network.layers import default_layers
from indexer.network.models import load_model, state_digest
from tests.reference import plain_model


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where torchvision keeps what it has downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1"])
def test_torchvisions_own_weights_come_from_its_cache(hub: Path, weights: str) -> None:
    trained = plain_model("squeezenet1_1", seed=7)
    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    torch.save(trained.state_dict(), hub / url.rpartition("/")[2])
    loaded = load_model("squeezenet1_1", weights)
    assert loaded.digest == state_digest(trained)
    assert loaded.weights == weights
    assert loaded.categories[7] == "cock"
    assert not loaded.module.training


def test_weights_that_cannot_be_downloaded(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(ModelUnavailable, match=r"could not be downloaded.*state-dict file"):
        load_model("squeezenet1_1", "DEFAULT")


@pytest.mark.parametrize("wrap", [False, True])
def test_a_state_dict_file(tmp_path: Path, wrap: bool) -> None:
    trained = plain_model("mobilenet_v3_small", seed=3)
    state = {f"module.{name}": value for name, value in trained.state_dict().items()} if wrap else trained.state_dict()
    torch.save({"state_dict": state, "epoch": 3} if wrap else state, tmp_path / "w.pth")
    loaded = load_model("mobilenet_v3_small", str(tmp_path / "w.pth"))
    assert loaded.digest == state_digest(trained)
    assert loaded.preprocessing == Preprocessing(256, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_training_only_parts_are_left_out(tmp_path: Path, name: str) -> None:
    whole = torchvision.models.get_model(name, weights=None, aux_logits=True, init_weights=False)
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    loaded = load_model(name, str(tmp_path / "w.pth"))
    assert loaded.module.transform_input
    assert not any(key.lower().startswith("aux") for key in loaded.module.state_dict())
    del whole


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = load_model("squeezenet1_1", "none").digest
    assert torch.equal(torch.rand(3), expected)
    assert load_model("squeezenet1_1", "none").digest == one
    assert load_model("squeezenet1_0", "none").digest != one


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("squeezenet1_1", ["features.1", "features.4", "features.7", "classifier.2"]),
        ("alexnet", ["features.1", "features.4", "features.11", "features.12"]),
        pytest.param(
            "vgg11", ["features.1", "features.4", "features.9", "features.14", "features.19", "features.20"],
            marks=pytest.mark.slow,
        ),
        ("resnet18", ["relu", "layer1", "layer2", "layer3", "layer4"]),
        ("mobilenet_v2", ["features.1", "features.3", "features.6", "features.13", "features.18"]),
        ("convnext_tiny", ["features.1", "features.3", "features.5", "features.7"]),
    ],
)  # fmt: skip
def test_default_layers_end_the_spatial_stages(name: str, expected: list[str]) -> None:
    loaded = load_model(name, "none")
    layers = default_layers(loaded.module, (224, 160))
    assert layers == expected
    network = Network(loaded, layers)
    sizes = [shape[1:] for shape in network.shapes.values()]
    assert len(set(sizes)) == len(sizes)


def test_only_maps_and_vectors_are_layers() -> None:
    model = load_model("vit_b_32", "none")
    assert Network(model, ["conv_proj"]).shapes == {"conv_proj": (768, 7, 7)}
    with pytest.raises(BadActivations, match="encoder_layer_0"):
        Network(model, ["encoder.layers.encoder_layer_0"])


def test_swin_keeps_its_channels_last_and_is_still_read_right() -> None:
    model = load_model("swin_t", "none")
    shapes = Network(model, ["features.1", "features.7"]).shapes
    assert shapes == {"features.1": (96, 56, 56), "features.7": (768, 7, 7)}


@pytest.mark.parametrize("wanted", [["0"], ["1"], ["2"], ["0", "2"], ["2", "1"], None])
def test_a_pass_goes_as_far_as_the_last_layer_that_is_wanted(wanted: list[str] | None) -> None:
    loaded = load_model("tests.own_models:small", "none")
    network = Network(loaded, ["0", "1", "2"])
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 28, 3), np.uint8)
    seen = []
    for place, module in enumerate(loaded.module):
        module.register_forward_pre_hook(lambda *_, place=place: seen.append(place))
    own = lambda layer, maps: maps.numpy().copy()  # noqa: E731
    every = network.run(pixels, own)
    assert seen == [0, 1, 2]
    seen.clear()
    some = network.run(pixels, own, wanted)
    assert seen == list(range(int(max(wanted or ["2"])) + 1))
    assert set(some) == set(wanted or ["0", "1", "2"])
    for layer, maps in some.items():
        np.testing.assert_array_equal(maps, every[layer])


def test_a_layer_that_is_not_looked_at_is_not_waited_for() -> None:
    network = Network(load_model("tests.own_models:small", "none"), ["0", "1"])
    with pytest.raises(InvalidRequest, match="some of 0, 1, not 2"):
        network.run(np.zeros((1, 20, 28, 3), np.uint8), lambda layer, maps: None, ["2"])
