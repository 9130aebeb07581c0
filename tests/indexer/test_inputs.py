"""What a network wants of a picture, in every form that people have it: the pixels of whoever made the form."""

from typing import Any

import numpy as np
import pytest
import timm.data
import torch
from PIL import Image
from torch import nn
from torchvision import transforms as v1
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms._presets import ImageClassification, SemanticSegmentation

from indexer.errors import InvalidRequest
from indexer.images.listing import ImageFile
from indexer.images.preprocessing import Preprocessing
from indexer.inputs.forms import understood
from indexer.inputs.saying import input_line, readable
from indexer.inputs.told import Told
from indexer.inputs.upscaling import upscaled
from indexer.network.models import load_model
from tests.conftest import random_photo

SIZES = [(100, 75), (75, 100), (333, 64), (41, 41), (20, 90)]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZE = v1.Normalize(MEAN, STD)
SCALED = v2.ToDtype(torch.float32, scale=True)
MODELS = "tests.indexer.given_models"


def tensor(preprocessing: Preprocessing, picture: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(preprocessing.pixels(picture).copy())[None].permute(0, 3, 1, 2)
    return preprocessing.normalise(pixels)[0]


def complete(given: Any) -> Preprocessing:
    return understood(given, "the factory").complete("m")[0]


CHAINS = {
    "v1": v1.Compose([v1.Resize(40), v1.CenterCrop((32, 48)), v1.ToTensor(), NORMALIZE]),
    "bicubic": v1.Compose([v1.Resize(60, InterpolationMode.BICUBIC), v1.CenterCrop(50), v1.ToTensor(), NORMALIZE]),
    "squash": v1.Compose([v1.Resize((30, 44)), v1.ToTensor(), NORMALIZE]),
    "crop of tensors": v1.Compose([v1.Resize(30), v1.ToTensor(), v1.CenterCrop((50, 34)), NORMALIZE]),
    "no resize": v1.Compose([v1.CenterCrop((64, 32)), v1.ToTensor(), v1.Normalize([0.5], [0.25])]),
    "no normalize": v1.Compose([v1.Resize(40), v1.CenterCrop(32), v1.ToTensor()]),
    "convert": v1.Compose([v1.Resize(40), v1.CenterCrop(32), v1.PILToTensor(), v1.ConvertImageDtype(torch.float32)]),
    "nested": v1.Compose([v1.Compose([v1.Resize(40), v1.CenterCrop(32)]), v1.Compose([v1.ToTensor(), NORMALIZE])]),
    "v2": v2.Compose([v2.Resize(40), v2.CenterCrop((32, 48)), v2.ToImage(), SCALED, v2.Normalize(MEAN, STD)]),
    "v2 rgb": v2.Compose([v2.RGB(), v2.Resize(40), v2.CenterCrop(32), v2.ToImage(), SCALED, v2.ToPureTensor()]),
    "preset": ImageClassification(crop_size=32, resize_size=40),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("size", SIZES)
def test_chains_give_what_torchvision_gives(name: str, size: tuple[int, int]) -> None:
    picture = random_photo(np.random.default_rng(3), *size)
    ours, theirs = tensor(complete(CHAINS[name]), picture), torch.as_tensor(CHAINS[name](picture))
    assert (ours - theirs).abs().max() <= (1e-6 if "v2" in name else 0), "v2 multiplies by 1 / 255: another last bit"


def test_resized_tensors_are_said_and_nearly_the_same() -> None:
    chain = v2.Compose([v2.ToImage(), v2.Resize(40), v2.CenterCrop(32), SCALED, v2.Normalize([0.0], [1.0])])
    told = understood(chain, "the factory")
    assert "round" in told.notes[0]
    picture = random_photo(np.random.default_rng(3), 90, 70)
    difference = tensor(told.complete("m")[0], picture) - torch.as_tensor(chain(picture))
    assert difference.abs().max() < 1.5 / 255


@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("part", [0.875, 0.95, 1.0, 1])
@pytest.mark.parametrize("size", SIZES)
def test_timms_config_gives_what_timm_gives(
    crop_mode: str, interpolation: str, part: float, size: tuple[int, int]
) -> None:
    sides = (3, 40, 56) if crop_mode == "squash" else (3, 40, 40)
    config = {
        "input_size": sides, "interpolation": interpolation, "mean": MEAN, "std": STD, "crop_pct": part,
        "crop_mode": crop_mode,
    }  # fmt: skip
    picture = random_photo(np.random.default_rng(2), *size)
    assert torch.equal(tensor(complete(config), picture), timm.data.create_transform(**config)(picture))
    assert complete(timm.data.create_transform(**config)) == complete(config)


def test_timms_networks_tell_by_themselves() -> None:
    loaded = load_model("timm:create_model", "none", _loading(model_name="resnet18", num_classes=7))
    config = timm.data.resolve_data_config(model=timm.create_model("resnet18"))
    assert loaded.preprocessing == complete(config)
    assert set(loaded.sources.values()) == {"the network's pretrained_cfg"}
    assert loaded.module.fc.out_features == 7


def _loading(**keywords: Any) -> Any:
    from indexer.index.loading import Loading, arguments_of

    return Loading(arguments_of(keywords))


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"resize": 32, "crop": 30, "mean": 0.5, "std": 0.25}, ((32,), (30, 30))),
        ({"resize": [32], "crop": [30, 20], "mean": [0.5], "std": [0.25]}, ((32,), (30, 20))),
        ({"resize": None, "crop": 30, "mean": (0.5,) * 3, "std": np.full(3, 0.25)}, (None, (30, 30))),
        ({"resize": (32, 48), "mean": torch.full((3,), 0.5), "std": np.float32(0.25)}, ((32, 48), None)),
        ({"resize": np.int64(32), "crop": (30,), "mean": 0.5, "std": 0.25}, ((32,), (30, 30))),
        (Preprocessing(32, 30, mean=0.5, std=0.25), ((32,), (30, 30))),
    ],
)
def test_fields_as_people_write_them(given: Any, fields: tuple) -> None:
    found = complete(given)
    assert (found.resize, found.crop) == fields
    assert (found.mean, found.std) == ((0.5,) * 3, (0.25,) * 3)
    assert Preprocessing.from_json(found.to_json()) == found


BASE = {"resize": 32, "crop": 32, "mean": 0.5, "std": 0.25}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (BASE | {"size": 3}, "no field 'size', its fields are resize, crop, interpolation, mean, std"),
        (BASE | {"resize": "32"}, "resize must be a positive whole number"),
        (BASE | {"resize": 32.5}, "not 32.5"),
        (BASE | {"resize": True}, "not True"),
        (BASE | {"crop": (3, 32, 32)}, r"crop must be .* not \(3, 32, 32\)"),
        (BASE | {"crop": 0}, "crop must be a positive whole number"),
        (BASE | {"mean": (0.5, 0.5)}, "mean has 2 numbers, and the input 3 channels; give one number, or one for each"),
        (BASE | {"mean": float("nan")}, "mean must be one finite number"),
        (BASE | {"std": 0}, "std must be three numbers above 0"),
        (BASE | {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)}, "divide mean and std by 255"),
        (BASE | {"interpolation": "cubic"}, "interpolation 'cubic' is not one of box, bilinear"),
        (BASE | {"resize": None, "crop": None}, "every input needs one size"),
        ({}, r"missing: resize \(--resize .*crop \(--crop .*mean \(--mean .*std \(--std .*return module, dict"),
        ({"mean": 0.5, "std": 0.25}, r"missing: resize \(.*crop \(--crop 32x48\)\."),
        ({"resize": 32, "mean": 0.5, "std": 0.25}, r"missing: crop \(--crop 32x48\)\."),
        ({"crop": 32, "mean": 0.5, "std": 0.25}, r"missing: resize \(--resize"),
        (None, "missing: resize"),
        (SemanticSegmentation(resize_size=32), r"missing: crop"),
        (lambda picture: picture, "from a function no way back"),
        (ImageClassification, "from a type|from a ImageClassification"),
        ("imagenet", "from a str no way back"),
        ({"input_size": (3, 32, 32), "mean": 0.5, "std": 1}, "timm's data config lacks crop_pct"),
        ({"input_size": 32, "crop_pct": 1, "mean": 0.5, "std": 1}, r"must be \(channels, height, width\), not 32"),
        ({"input_size": (3, 32, 32), "crop_pct": 1, "crop_mode": "border", "mean": 0.5, "std": 1}, "'border' cannot"),
        ({"input_size": (3, 32, 48), "crop_pct": 1, "mean": 0.5, "std": 1}, "oblong input_size 32 x 48"),
        ({"input_size": (3, 32, 32), "crop_pct": 0, "mean": 0.5, "std": 1}, "crop_pct must be a number above 0"),
        ({"input_size": (3, 32, 32), "crop_pct": 1, "resize": 3, "mean": 0.5, "std": 1}, "resize beside timm's"),
        (v1.Compose([v1.Resize(32), v1.RandomCrop(32), v1.ToTensor()]), "RandomCrop is not understood"),
        (v1.Compose([v1.Lambda(abs)]), "Lambda is not understood"),
        (v1.Compose([abs]), "own code is not understood"),
        (v1.Compose([v1.Resize(32), v1.CenterCrop(32), NORMALIZE]), "Normalize comes after picture"),
        (v1.Compose([v1.Resize(32), v1.CenterCrop(32)]), "no step of the Compose makes 0..1"),
        (v1.Compose([v1.CenterCrop(64), v1.Resize((32, 32)), v1.ToTensor()]), "comes after another Resize or CenterC"),
        (v1.Compose([v1.ToTensor(), v1.Resize((32, 32))]), "resizes floats"),
        (v1.Compose([v1.ToTensor(), NORMALIZE, v1.CenterCrop(32)]), "comes after Normalize"),
        (v1.Compose([v1.Resize(32, max_size=64), v1.ToTensor()]), "has a max_size"),
        (v1.Compose([v1.Resize(32), v1.ToTensor(), NORMALIZE]), r"missing: crop"),
        (v2.Compose([v2.Resize(32), v2.ToImage(), v2.ToDtype(torch.float32)]), "keeps 0..255"),
        (v2.Compose([v2.Resize(32), v2.ToImage(), v2.ToDtype(torch.float16, scale=True)]), "else than float32"),
        (nn.Sequential(nn.Conv2d(3, 3, 3)), "Conv2d.* of its own code is not understood"),
    ],
)
def test_what_is_wrong_or_missing_is_said_in_one_line(given: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        understood(given, "the factory").complete("m")
    assert "\n" not in str(caught.value)


def test_options_come_first_and_say_so() -> None:
    told = understood({"mean": 0.5, "std": 0.25}, "the factory").with_options({"resize": (32,), "crop": (32, 48)})
    preprocessing, sources = told.complete("m")
    line = input_line(preprocessing, sources)
    assert line == (
        "input: height 32 x width 48; resize 32 (--resize); crop 32x48 (--crop); mean 0.5,0.5,0.5, std 0.25,0.25,0.25 "
        "(the factory); interpolation bilinear (not told, so the usual one)"
    )


@pytest.mark.parametrize("factory", ["bare", "figures"])
def test_nothing_is_assumed_of_a_network_of_ones_own(factory: str) -> None:
    with pytest.raises(InvalidRequest, match="nothing is assumed; missing: resize"):
        load_model(f"{MODELS}:{factory}", "none")
    options = {"resize": (24,), "crop": (24, 36), "mean": (0.1,), "std": (0.2,)}
    assert load_model(f"{MODELS}:{factory}", "none", preprocessing=options).preprocessing == Preprocessing(
        24, (24, 36), mean=0.1, std=0.2
    )
    whole = Preprocessing(9, 9, mean=0, std=1)
    assert load_model(f"{MODELS}:{factory}", "none", preprocessing=whole).preprocessing is whole


def test_images_that_are_blown_up_are_counted(tmp_path: Any) -> None:
    for number, size in enumerate([(32, 32), (40, 20), (64, 70), (200, 100)]):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (48, 16)).save(tmp_path / "turned.jpg", exif=turned)
    (tmp_path / "broken.png").write_bytes(b"none")
    files = [ImageFile(path.name, None) for path in sorted(tmp_path.iterdir())]
    found = upscaled(tmp_path, files, Told.of(BASE | {"resize": (64, 64), "crop": None}, "t").complete("m")[0])
    assert found is not None
    assert (found.count, found.of) == (2, 5), "64 / 32 is 2, not more; 64 / 20 and 64 / 16 are"
    assert (found.path, found.size, found.scaled) == ("turned.jpg", (16, 48), (64, 64))
    assert upscaled(tmp_path, files, Told.of(BASE, "t").complete("m")[0]) is None
    assert upscaled(tmp_path, [], Told.of(BASE, "t").complete("m")[0]) is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (195_000_000, "195 MB"), (5_800_000_000, "5.8 GB")]
)
def test_bytes_are_readable(count: int, text: str) -> None:
    assert readable(count) == text
