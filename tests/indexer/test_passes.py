"""Kept activations are those of a plain forward pass of an image alone, whatever a network keeps between its steps."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from indexer.errors import BadActivations, InvalidRequest, NotReproducible
from indexer.index.manifest import read_manifest
from indexer.index.shard_info import ShardInfo
from indexer.jobs.build import BuildRequest, add, build
from indexer.jobs.info import skipped_images
from indexer.jobs.layers import add_layers
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline.write_shards import Progress, ShardTask, index_shards
from indexer.jobs.plan import ShardPlan
from indexer.network.forward import Network
from indexer.network.layers import check_layers
from indexer.network.models import load_model
from indexer.network.passes.replicas import apart
from indexer.network.restore import network_of
from indexer.network.trial import Trial
from indexer.shards.reader import Shard
from tests import stateful_models as models
from tests.conftest import random_photo

SIZE = (48, 64)
COUNT_OF_IMAGES = 14
APART = ["Skips", "InDict", "InList", "InHook", "InObject"]
TOGETHER = ["InGlobal", "InNamespace", "InClass", "in_closure"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(5)
    for number in range(COUNT_OF_IMAGES):
        random_photo(rng, SIZE[1], SIZE[0]).save(folder / f"{number:02}.png")
    return folder


def request_of(images: Path, name: str, layer: str = "dec", **changes: Any) -> BuildRequest:
    settings: dict[str, Any] = {"batch_size": 4, "shard_size": 8, "weights": "none"} | changes
    return BuildRequest(images, model=f"tests.stateful_models:make_{name}", layers=[layer], **settings)


def plain(name: str, layer: str, image: Path, seed: int = 0) -> np.ndarray:
    """Maps (C, H, W) of one image by itself, by a hook on a network that has seen nothing else."""
    module = models.with_preprocessing(getattr(models, name), seed)[0].eval()
    seen: list[torch.Tensor] = []
    module.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    pixels = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(models.PREPROCESSING[part]).view(1, 3, 1, 1) for part in ("mean", "std"))
    with torch.no_grad():
        module((pixels - mean) / std)
    return seen[0][0].numpy()


def kept(out: Path, layer: str) -> Iterator[tuple[str, np.ndarray]]:
    """Paths and maps (C, H, W) of an index, image by image."""
    for info in read_manifest(out).shards:
        with Shard(out / info.file, info.file) as shard:
            for row, image in enumerate(shard.images()):
                yield image.path, shard.maps(layer, row)


def check_index(out: Path, images: Path, name: str, layer: str = "dec") -> None:
    for path, maps in kept(out, layer):
        np.testing.assert_allclose(maps, plain(name, layer, images / path), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", [*APART, *TOGETHER])
def test_what_a_forward_keeps_is_not_read_by_another_pass(name: str, images: Path, tmp_path: Path) -> None:
    build(tmp_path / "index", request_of(images, name, limits=Limits(passes=4)))
    check_index(tmp_path / "index", images, name)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [*APART, *TOGETHER])
def test_many_threads_on_one_network(name: str, seed: int, images: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(seed)
    network = Network(load_model(f"tests.stateful_models:make_{name}", "none"), ["dec"])
    pixels = rng.integers(0, 256, (16, *SIZE, 3), np.uint8)
    own = lambda layer, maps: maps.numpy().copy()  # noqa: E731
    serial = [network.run(pixels[i : i + 2], own)["dec"] for i in range(0, 16, 2)]
    with caplog.at_level(logging.WARNING):
        assert network.spread(4) == (4 if name in APART else 1)
    assert ("one at a time" in caplog.text) == (name in TOGETHER)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: network.run(pixels[i : i + 2], own)["dec"], list(range(0, 16, 2)) * 3))
    for ours, expected in zip(found, serial * 3, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_copies_share_parameters_and_no_buffer() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    made, why = apart(model)
    assert why is None
    assert made is not None
    assert all(a is b for a, b in zip(made.parameters(), model.parameters(), strict=True))
    assert not {id(buffer) for buffer in made.buffers()} & {id(buffer) for buffer in model.buffers()}


COUNT = 0
SETTINGS = {"scale": 2.0}


def _helper(maps: torch.Tensor) -> torch.Tensor:
    _helper.last = maps  # type: ignore[attr-defined]
    return maps


class _Global(models.Skips):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        global COUNT
        COUNT += 1
        return super().forward(x)


class _OnFunction(models.Skips):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _helper(super().forward(x))


class _OnClass(models.Skips):
    seen = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _OnClass.seen += 1
        return super().forward(x)


class _OnItsClass(models.Skips):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        type(self).seen = x
        return super().forward(x)


class _InDefault(models.Skips):
    def forward(self, x: torch.Tensor, seen: list[torch.Tensor] = []) -> torch.Tensor:  # noqa: B006, the fault
        seen.append(x)
        return super().forward(x)


class _Itself(models.Skips):
    def __deepcopy__(self, memo: dict[int, Any]) -> "_Itself":
        return self


class _Reading(models.Skips):
    """Reads settings at the top of a file, keeps a count of its own: copies are apart."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return super().forward(x) * 2.0 ** SETTINGS["scale"]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (_Global, "COUNT"), (_OnFunction, "last"), (_OnClass, "seen"), (_OnItsClass, "seen"),
        (_InDefault, "default"), (_Itself, "not copied"), (models.InGlobal, "FEATURES"),
        (models.InNamespace, "maps"), (models.InClass, "InClass.features"), (models.in_closure, "store"),
    ],
)  # fmt: skip
def test_state_that_copies_would_share_is_named(make: Any, word: str) -> None:
    made, why = apart(make().eval())
    assert made is None
    assert why is not None
    assert word in why


@pytest.mark.parametrize("make", [_Reading, *(getattr(models, name) for name in APART)])
def test_state_of_a_copys_own_needs_no_word(make: Any) -> None:
    assert apart(make().eval())[1] is None


@pytest.mark.parametrize("name", ["Dropping", "Noisy", "Counting"])
def test_a_network_that_never_gives_the_same_is_refused(name: str, images: Path, tmp_path: Path) -> None:
    with pytest.raises(NotReproducible, match=r"layer .dec. gives other activations when the same images"):
        build(tmp_path / "index", request_of(images, name))
    assert not list(tmp_path.glob("index/shards/*"))
    assert not (tmp_path / "index" / "plan.jsonl").exists()


def test_layers_before_the_randomness_are_kept(images: Path, tmp_path: Path) -> None:
    build(tmp_path / "index", request_of(images, "Dropping", "mid"))
    check_index(tmp_path / "index", images, "Dropping", "mid")


@pytest.mark.parametrize("name", ["BatchNormed", "Centred", "Rolled"])
def test_a_network_that_mixes_a_batch_is_refused_and_kept_image_by_image(
    name: str, images: Path, tmp_path: Path
) -> None:
    layer = "norm" if name == "BatchNormed" else "dec"
    with pytest.raises(NotReproducible, match=rf"layer '{layer}' .* alone .* --batch-size 1"):
        build(tmp_path / "index", request_of(images, name, layer))
    build(tmp_path / "index", request_of(images, name, layer, batch_size=1))
    check_index(tmp_path / "index", images, name, layer)


@pytest.mark.parametrize("usable", [1, 5])
def test_that_the_first_batch_has_one_image_hides_nothing(usable: int, images: Path, tmp_path: Path) -> None:
    """Batches are of four usable images; the last one of five has one, and is not the first."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, path in enumerate(sorted(images.iterdir())[:11]):
        # The first shard, of eight files, has so many images; a batch ends with its shard.
        data = path.read_bytes() if number < usable or number >= 8 else b"damaged"
        (folder / path.name).write_bytes(data)
    with pytest.raises(NotReproducible, match=r"layer 'dec' .* alone .* --batch-size 1"):
        build(tmp_path / "index", request_of(folder, "Centred"))
    assert not list(tmp_path.glob("index/shards/*"))


def test_complex_numbers_are_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(BadActivations, match="layer 'dec' gives complex numbers"):
        build(tmp_path / "index", request_of(images, "Complex"))


def test_drift_is_found_later() -> None:
    network = Network(load_model("tests.stateful_models:make_Skips", "none"), ["dec"])
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)
    trial = Trial(network, pixels)
    with ThreadPoolExecutor(1) as pool:
        trial.begin(pool)
    trial.again(pixels[::-1].copy())
    with torch.no_grad():
        network.model.module.dec.bias += 0.01
    with pytest.raises(NotReproducible, match="again"):
        trial.again(pixels)


def with_a_white_one(folder: Path, count: int, white: int) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        photo = random_photo(rng, *SIZE[::-1])
        photo = Image.new("RGB", SIZE[::-1], "white") if number == white else photo
        photo.save(folder / f"{number:02}.png")
    return folder


def test_the_last_batch_is_compared_too(tmp_path: Path) -> None:
    pictures = with_a_white_one(tmp_path / "images", 16, white=14)
    request = request_of(pictures, "Dazzled", batch_size=1, limits=Limits(passes=1))
    with pytest.raises(NotReproducible, match="again"):
        build(tmp_path / "index", request)
    assert not list(tmp_path.glob("index/shards/*"))


def test_nothing_of_added_layers_stays_that_cannot_be_trusted(tmp_path: Path) -> None:
    pictures = with_a_white_one(tmp_path / "images", 20, white=18)
    index = tmp_path / "index"
    alone = Limits(passes=1)
    build(index, request_of(pictures, "DazzledLate", "mid", batch_size=1, shard_size=4, limits=alone))
    published = sorted((index / "shards").iterdir())

    def interrupted(task: ShardTask, plans: list[ShardPlan], *, progress: Progress) -> list[ShardInfo]:
        index_shards(task, plans[:1], network_of(task.configuration), progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_layers(index, ["dec"], engine=interrupted)
    assert len(list((index / "shards").iterdir())) == len(published) + 1
    with pytest.raises(NotReproducible, match="nothing was kept"):
        add_layers(index, ["dec"], limits=alone)
    assert sorted((index / "shards").iterdir()) == published


@pytest.mark.parametrize("name", ["Retrying", "retrying_everything", "Suppressing"])
@pytest.mark.parametrize("layer", ["conv", "last"])
def test_a_network_that_catches_exceptions_is_read_at_its_first_try(
    name: str, layer: str, images: Path, tmp_path: Path
) -> None:
    if name == "Suppressing":  # which really runs three times
        with pytest.raises(InvalidRequest, match="3 times"):
            build(tmp_path / "index", request_of(images, name, layer))
        return
    build(tmp_path / "index", request_of(images, name, layer))
    check_index(tmp_path / "index", images, name, layer)


def test_a_network_of_one_image_at_a_time_gets_batches_of_one(images: Path, tmp_path: Path) -> None:
    for name in ("Fixed", "Cropped"):
        manifest = build(tmp_path / name, request_of(images, name, "fc", batch_size=None))
        assert manifest.batch_size == 1
        for path, vector in kept(tmp_path / name, "fc"):
            expected = plain(name, "fc", images / path)
            np.testing.assert_allclose(vector.ravel(), expected, rtol=2e-3, atol=2e-3)
        with pytest.raises((BadActivations, InvalidRequest), match="--batch-size 1"):
            build(tmp_path / f"{name} 4", request_of(images, name, "fc", batch_size=4))


def test_rows_and_shapes_are_those_of_the_images(tmp_path: Path) -> None:
    network = Network(load_model("tests.stateful_models:make_Uneven", "none"), ["dec"])
    assert network.run(np.zeros((2, *SIZE, 3), np.uint8), lambda layer, maps: maps.shape)["dec"] == (2, 6, *SIZE)
    network = Network(load_model("tests.stateful_models:make_Cropped", "none"), ["fc"])
    with pytest.raises(BadActivations, match=r"'fc' gives 1 rows for a batch of 3"):
        network.run(np.zeros((3, *SIZE, 3), np.uint8), lambda layer, maps: None)


def blanks(images: Path, folder: Path, numbers: list[int]) -> Path:
    folder.mkdir()
    for path in images.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for number in numbers:
        Image.new("RGB", SIZE[::-1], "white").save(folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("numbers", [[5], [4, 5, 6, 7], [0, 13]])
def test_images_on_which_the_network_gives_nan_are_skipped(numbers: list[int], images: Path, tmp_path: Path) -> None:
    folder = blanks(images, tmp_path / "images", numbers)
    request = request_of(folder, "BlankIsNan", "conv")
    manifest = build(tmp_path / "index", request)
    assert manifest.images == COUNT_OF_IMAGES - len(numbers)
    skipped = skipped_images(tmp_path / "index", manifest)
    assert [path for path, _ in skipped] == [f"{number:02}.png" for number in numbers]
    assert all("NaN or infinity" in reason and "'conv'" in reason for _, reason in skipped)
    check_index(tmp_path / "index", folder, "BlankIsNan", "conv")


@pytest.mark.parametrize(("most", "word"), [(2, "more than 2 images"), (0, "on the image 03.png")])
def test_too_many_such_images_end_the_job(most: int, word: str, images: Path, tmp_path: Path) -> None:
    folder = blanks(images, tmp_path / "images", [3, 9, 10])
    request = request_of(folder, "BlankIsNan", "conv")
    with pytest.raises(BadActivations, match=word):
        build(tmp_path / "index", replace(request, limits=Limits(bad_images=most)))
    assert build(tmp_path / "index", request).images == COUNT_OF_IMAGES - 3


def test_an_added_image_of_that_kind_does_not_block_the_others(images: Path, tmp_path: Path) -> None:
    folder = blanks(images, tmp_path / "images", [])
    build(tmp_path / "index", request_of(folder, "BlankIsNan", "next"))
    Image.new("RGB", SIZE[::-1], "white").save(folder / "blank.png")
    random_photo(np.random.default_rng(1), *SIZE[::-1]).save(folder / "new.png")
    manifest = add(tmp_path / "index")
    assert manifest.images == COUNT_OF_IMAGES + 1
    assert [path for path, _ in skipped_images(tmp_path / "index", manifest)] == ["blank.png"]


def test_names_that_would_meet_in_a_file_are_refused() -> None:
    model = nn.Module()
    for name in ("a", "a/b", "Conv", "conv", "x/y"):
        model.add_module(name, nn.Identity())
    check_layers(model, ["a", "x/y", "conv"])
    with pytest.raises(InvalidRequest, match=r"'a' and 'a/b'"):
        check_layers(model, ["a/b", "a"])
    with pytest.raises(InvalidRequest, match=r"'Conv' and 'conv'"):
        check_layers(model, ["conv", "Conv"])
    model.add_module("n" * 300, nn.Identity())
    with pytest.raises(InvalidRequest, match="long"):
        check_layers(model, ["n" * 300])
