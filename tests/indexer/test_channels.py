"""Networks of images with one channel, or with twelve: kept maps against torch's own preprocessing and a hook."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.transforms import functional as F

import indexer
from indexer import pictures
from indexer.cli import main
from indexer.errors import ImageRejected, InvalidRequest
from indexer.explain.why import why
from indexer.images.bands import bands_of
from indexer.images.folder import find_images
from indexer.images.input_size import InputSize, channels_of
from indexer.images.preprocessing import Preprocessing
from indexer.images.reading import looks_like_image, read_picture
from indexer.inputs.forms import understood
from indexer.inputs.timm_config import from_timm
from indexer.jobs.build import add, build
from indexer.jobs.info import skipped_images
from indexer.network.differentiable import unit_of
from indexer.query.index import Index
from indexer.receptive_field.trace import trace_layers
from indexer.synthesis.ascending.differentiable import Differentiable
from tests.conftest import build_request, random_photo

SIZE = (26, 38)
MEAN, STD = tuple(np.linspace(0.3, 0.6, 12).tolist()), tuple(np.linspace(0.2, 0.3, 12).tolist())


def net(channels: int) -> nn.Module:
    torch.manual_seed(channels)
    layers = nn.Conv2d(channels, 5, (3, 4), padding=1), nn.ReLU(), nn.Conv2d(5, 6, 3, stride=2), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2)).eval()


def grey() -> tuple[nn.Module, dict]:
    return net(1), {"resize": 30, "crop": SIZE, "mean": 0.4, "std": 0.25, "channels": 1}


def twelve() -> tuple[nn.Module, dict]:
    return net(12), {"resize": (30, 40), "crop": SIZE, "mean": MEAN, "std": STD, "channels": 12}


def write_bands(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(3)
    for number in range(count):
        height, width = (int(side) for side in rng.integers(30, 80, 2))
        small = rng.integers(0, 256, (5, 7, 12), dtype=np.uint8)
        bands = np.stack(
            [np.asarray(Image.fromarray(band).resize((width, height))) for band in np.moveaxis(small, 2, 0)], 2
        )
        path = folder / "ab"[number % 2] / f"{number}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, bands)
    return folder


def build_of(images: Path, out: Path, model: str) -> Path:
    build(out, build_request(
        images, model=f"tests.indexer.test_channels:{model}", weights="none", layers=("1", "3", "6"), preprocessing={}
    ))  # fmt: skip
    return out


@pytest.fixture(scope="module")
def of_twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("twelve")
    return build_of(write_bands(folder / "images", 6), folder / "index", "twelve")


def hooked(module: nn.Module, layer: str, batch: torch.Tensor) -> np.ndarray:
    kept: list[torch.Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda part, given, output: kept.append(output.clone()))
    with torch.no_grad():
        module(batch)
    handle.remove()
    return kept[0][0].numpy()


def check_maps(index: Index, inputs: dict[str, torch.Tensor], module: nn.Module) -> None:
    assert len(index.images) == len(inputs)
    for record in index.find_images(limit=50).items:
        for layer in ("1", "3", "6"):
            expected = hooked(module, layer, inputs[record.path][None])
            kept = index.activation_maps(record.id, layer).reshape(expected.shape)
            np.testing.assert_allclose(kept, expected, rtol=2e-3, atol=1e-3)
    assert index.layer("3").info.field.kind == "exact"


def test_twelve_channels_equal_torch_and_a_hook(of_twelve: Path) -> None:
    """Each channel resized and cropped by torchvision as a picture of its own."""
    images, inputs = of_twelve.parent / "images", {}
    for path in images.rglob("*.npy"):
        bands = [Image.fromarray(band) for band in np.moveaxis(np.load(path), 2, 0)]
        placed = [F.to_tensor(F.center_crop(F.resize(band, [30, 40]), list(SIZE))) for band in bands]
        inputs[path.relative_to(images).as_posix()] = F.normalize(torch.cat(placed), MEAN, STD)
    with indexer.open(of_twelve) as index:
        check_maps(index, inputs, net(12))
        record = index.image(0)
        shown = np.asarray(index.picture(record))
        np.testing.assert_array_equal(shown, np.load(images / record.path)[:, :, :3])
        patch = index.top_patches("3", 2, limit=1).items[0]
        assert pictures.patch(index, patch.image, "3", patch.y, patch.x).mode == "RGB"
        network = index.network()
        said = why(index, network, 0, "3", for_="1")
        assert said.said.neurons == 6
        pixels = index.manifest.configuration.preprocessing.pixels(index.picture(record))
        batch = network.normalised(pixels[None].copy())
        value = unit_of(network, "3", 2, 1, 1)(batch)[0]
        assert float(value) == pytest.approx(hooked(net(12), "3", batch)[2, 1, 1], abs=1e-5)


def test_a_job_goes_on_with_twelve_channels(tmp_path: Path) -> None:
    index = build_of(write_bands(tmp_path / "images", 2), tmp_path / "index", "twelve")
    write_bands(tmp_path / "images", 4)
    np.save(tmp_path / "images" / "three.npy", np.zeros((40, 50, 3), np.uint8))
    manifest = add(index)
    assert manifest.images == 4
    assert skipped_images(index) == [("three.npy", "the image has 3 channels, and the network takes 12")]
    with indexer.open(index) as opened:
        network = opened.network()
    with pytest.raises(InvalidRequest, match="images are made for networks of R, G and B, and this one takes 12"):
        Differentiable(network)


def test_grey_equals_torch_and_a_hook(tmp_path: Path) -> None:
    rng, inputs = np.random.default_rng(1), {}
    steps = transforms.Compose([
        transforms.Grayscale(), transforms.Resize(30), transforms.CenterCrop(SIZE), transforms.ToTensor(),
        transforms.Normalize(0.4, 0.25),
    ])  # fmt: skip
    for number in range(4):
        photo = random_photo(rng, 60 + 9 * number, 47)
        photo = photo if number % 2 else photo.convert("L")
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
        inputs[path.relative_to(tmp_path / "images").as_posix()] = steps(Image.open(path))
    with indexer.open(build_of(tmp_path / "images", tmp_path / "index", "grey")) as index:
        check_maps(index, inputs, net(1))
    told = understood(steps, "a Compose").fields
    assert (told["channels"], told["mean"], told["resize"]) == (1, (0.4,), (30,))


# -- arrays -------------------------------------------------------------------------------------------------------


def saved(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    """A file of three bytes that says it is an array of float64 of this shape."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + b"abc"


def test_arrays_are_read_as_pictures_with_all_their_channels() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (9, 14, 5), np.uint16)
    picture = read_picture(saved(values))
    assert (picture.mode, picture.size) == ("RGB", (14, 9))
    np.testing.assert_array_equal(bands_of(picture), np.round(values / 257).astype(np.uint8))
    floats = read_picture(saved(np.array([[-1.0, 0.0, 1.0, 3.0]])), value_range=(0, 2))
    assert np.asarray(floats)[:, :, 0].tolist() == [[0, 0, 128, 255]]
    fortran = np.asfortranarray(np.random.default_rng(1).integers(0, 256, (6, 7, 4), np.uint8))
    np.testing.assert_array_equal(bands_of(read_picture(saved(fortran))), fortran)
    assert looks_like_image(saved(values)[:64])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            saved(np.zeros((12, 40, 65), np.uint8)),
            r"shape \(12, 40, 65\); needed is .* at most 64 channels, which come last",
        ),
        (saved(np.zeros(5, np.uint8)), r"shape \(5,\); needed is \(height, width\)"),
        (saved(np.zeros((4, 0, 3), np.uint8)), "needed is"),
        (saved(np.zeros((4, 5))), "float64 have no defined range; save uint8 or uint16, or give --value-range"),
        (saved(np.zeros((4, 5), bool)), "an array of bool is no picture"),
        (saved(np.array([[{}]], object)), "an array of object is no picture|damaged"),
        (saved(np.zeros((40, 50), np.uint8))[:-9], "cut short: 1991 of 2000 bytes are there"),
        (saved(np.zeros((4, 5), np.uint8)).replace(b"(4, 5)", b"(4, 5 ")[:128], "damaged"),  # a bracket stays open
        (claiming((900, 1000, 64)), "cut short: 3 of 460800000 bytes are there"),
        (saved(np.zeros((40, 50), np.uint8))[:9], "damaged"),
        (b"\x93NUMPY\x09\x00" + bytes(40), "version"),
        (saved(np.zeros((200, 200), np.uint8)), "200 x 200 pixels; at most 1000 are read"),
    ],
)
def test_arrays_that_are_no_pictures_are_a_line(data: bytes, message: str) -> None:
    with pytest.raises(ImageRejected, match=message):
        read_picture(data, 1000 if b"(200, 200)" in data[:128] else 1 << 20)


def test_arrays_are_images_where_there_are_no_others(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.zeros((4, 5), np.uint8))
    assert [str(path) for path in find_images(tmp_path).paths] == ["mask.npy"]
    random_photo(np.random.default_rng(0), 40, 30).save(tmp_path / "photo.png")
    found = find_images(tmp_path)
    assert [str(path) for path in found.paths] == ["photo.png"]
    assert found.endings[".npy"] == 1


# -- preprocessing ------------------------------------------------------------------------------------------------


def test_preprocessing_knows_its_channels() -> None:
    plain = Preprocessing(SIZE, None, mean=0.5, std=(0.2, 0.3, 0.4))
    assert (plain.mean, plain.input_size, channels_of(plain.input_size)) == ((0.5,) * 3, SIZE, 3)
    assert "channels" not in plain.to_json()
    own = Preprocessing(SIZE, None, mean=0.5, std=STD, channels=12)
    assert own.mean == (0.5,) * 12
    assert Preprocessing.from_json(own.to_json()) == own
    assert channels_of(InputSize(3, 4, 7)) == 7
    with pytest.raises(InvalidRequest, match=r"mean has 12 numbers, and the input 3 channels; .* channels=12"):
        Preprocessing(SIZE, None, mean=MEAN, std=0.2)
    for wrong in (0, 65, 1.5, True, "3"):
        with pytest.raises(InvalidRequest, match="channels must be a whole number from 1 to 64"):
            Preprocessing(SIZE, None, mean=0.5, std=0.2, channels=wrong)
    config = {"input_size": (1, 20, 20), "crop_pct": 1.0, "mean": (0.5,), "std": (0.5,)}
    assert from_timm(config, "timm").fields["channels"] == 1


def test_a_network_that_takes_other_channels_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bands(tmp_path / "images", 1)
    options = ["--model", "tests.indexer.test_channels:twelve", "--weights", "none", "--channels", "3", "--mean", "0.5"]
    assert main(["build", str(tmp_path / "images"), *options, "--std", "0.2", "--out", str(tmp_path / "index")]) != 0
    assert "12 channels" in (said := capsys.readouterr().err)
    assert "it was given 3 channels, and --channels says how many it takes" in said


def test_tracing_says_how_many_channels_it_gave() -> None:
    class Untraced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net(12)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.net(image if float(image.sum()) < 1e30 else image[:, :3])

    with pytest.raises(InvalidRequest, match="it was given 3 channels, and --channels says how many it takes"):
        trace_layers(Untraced().eval(), ["net.1"], SIZE)
    assert trace_layers(Untraced().eval(), ["net.1"], InputSize(*SIZE, 12))["net.1"].field.kind == "measured"
