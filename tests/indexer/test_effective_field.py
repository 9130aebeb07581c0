"""Effective receptive fields: against gradients one cell at a time, closed forms, and boxes tried one by one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import indexer
from indexer.cli import main
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.images.geometry import Box
from indexer.images.preprocessing import Preprocessing
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add
from indexer.jobs.derived.effective_field import keep_effective_field, measure_effective_field
from indexer.jobs.layers import add_layers, drop_layers
from indexer.jobs.space import bytes_by_kind
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.network.forward import Network
from indexer.network.gradients import effective_field
from indexer.network.models import LoadedModel
from indexer.receptive_field import AxisField
from indexer.receptive_field.effective import HELD, smallest_box, step_apart
from tests.effective import build_effective
from tests.marks import seeds
from tests.object_store import ObjectStore, upload
from tests.own_models import PREPROCESSING

SIZE = PREPROCESSING["crop"]


# -- the smallest box ---------------------------------------------------------------------------------------------


def smallest_by_trying(mass: np.ndarray, held: float) -> Box:
    """Every box around the peak, the one of fewest pixels that holds enough."""
    height, width = mass.shape
    y, x = int(mass.sum(axis=1).argmax()), int(mass.sum(axis=0).argmax())
    boxes = [
        Box(left, top, right, bottom)
        for top in range(y + 1) for bottom in range(y + 1, height + 1)
        for left in range(x + 1) for right in range(x + 1, width + 1)
    ]  # fmt: skip
    holds = {box: mass[box.top : box.bottom, box.left : box.right].sum() for box in boxes}
    enough = [box for box in boxes if holds[box] >= held * mass.sum() * (1 - 1e-9)]
    return min(enough, key=lambda box: (box.area, -holds[box], box.height))


@pytest.mark.parametrize("seed", seeds(4))
@pytest.mark.parametrize("held", [0.5, HELD, 1.0])
def test_the_box_is_the_smallest_of_all_around_the_peak(seed: int, held: float) -> None:
    mass = np.random.default_rng(seed).random((5, 8)) ** 6
    assert smallest_box(mass, held) == smallest_by_trying(mass, held)


def test_a_mass_of_nothing_has_no_box() -> None:
    assert smallest_box(np.zeros((4, 7))) is None
    assert smallest_box(np.zeros((0, 0))) is None


@pytest.mark.parametrize("seed", seeds(4))
def test_cells_a_step_apart_do_not_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.integers(0, 30, 9))
    intervals = [(int(start), int(start + length)) for start, length in zip(starts, rng.integers(0, 8, 9), strict=True)]
    step = step_apart(AxisField(tuple(intervals)))

    def overlap(step: int) -> bool:
        pairs = [(i, j) for i in range(9) for j in range(i + step, 9, step)]
        return any(set(range(*intervals[i])) & set(range(*intervals[j])) for i, j in pairs)

    assert not overlap(step)
    assert step == 1 or overlap(step - 1)


# -- gradients ----------------------------------------------------------------------------------------------------


class Forked(nn.Module):
    """A branch with a ReLU and a max-pool beside one that passes it by; both are joined behind."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.branch = nn.Sequential(nn.MaxPool2d((2, 3)), nn.ReLU(inplace=True), nn.Conv2d(4, 1, (3, 2), padding=1))
        self.beside = nn.Sequential(nn.AvgPool2d((2, 3)), nn.Conv2d(4, 1, 3, padding=1, stride=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        branch, beside = self.branch(x), self.beside(x)
        return torch.cat([branch[:, :, :10, :9], beside], dim=1)


def network_of(module: nn.Module, *layers: str) -> Network:
    loaded = LoadedModel("own", "none", module.eval(), Preprocessing(**PREPROCESSING), "", [])
    return Network(loaded, layers, torch.device("cpu"))


def gradients(module: nn.Module, layer: str, network: Network, pixels: np.ndarray) -> np.ndarray:
    """Squared gradients (H, W, h, w) by backward passes of one image, one neuron and one cell each, summed."""
    kept: list[torch.Tensor] = []
    handle = dict(module.named_modules())[layer].register_forward_hook(lambda m, i, o: kept.append(o))
    total: np.ndarray | float = 0.0
    for image in pixels:
        batch = network.normalised(image[None]).requires_grad_()
        module(batch)
        maps = kept.pop()[0]
        cells = [maps[:, y, x] for y in range(maps.shape[1]) for x in range(maps.shape[2])]
        found = [
            sum(torch.autograd.grad(neuron, batch, retain_graph=True)[0][0].square().sum(0) for neuron in cell)
            for cell in cells
        ]
        total = total + torch.stack(found).reshape(*maps.shape[1:], *SIZE).double().numpy()
    handle.remove()
    return total


def part_tried(mass: np.ndarray) -> tuple[int, int, int, int]:
    """`smallest_by_trying` of the part that is not 0, which is all that can matter."""
    rows, columns = np.flatnonzero(mass.any(axis=1)), np.flatnonzero(mass.any(axis=0))
    top, left = rows[0], columns[0]
    box = smallest_by_trying(mass[top : rows[-1] + 1, left : columns[-1] + 1], HELD)
    return left + box.left, top + box.top, left + box.right, top + box.bottom


def noise(seed: int, images: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (images, *SIZE, 3), np.uint8)


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize("layer", ["branch", "beside"])
def test_a_layer_in_a_branch_has_the_boxes_of_gradients_one_cell_at_a_time(seed: int, layer: str) -> None:
    torch.manual_seed(seed)
    module = Forked().eval()
    network = network_of(module, layer)
    assert network.traces[layer].field.kind == "exact"
    pixels = noise(seed, 2)
    found = effective_field(network, layer, [pixels[:1], pixels[1:]], seed)
    assert (found.images, found.seed) == (2, seed)
    squares = gradients(module, layer, network, pixels)
    assert squares.shape[:2] == found.boxes.shape[:2]
    for y, x in [(0, 0), (9, 8), *np.random.default_rng(seed).integers(0, (10, 9), (10, 2)).tolist()]:
        assert tuple(found.boxes[y, x].tolist()) == part_tried(squares[y, x])
    told: list[tuple[int, int]] = []
    again = effective_field(network, layer, [pixels], seed, lambda *done: told.append(done), most=20_000)
    np.testing.assert_array_equal(again.boxes, found.boxes)
    assert told[-1][0] == told[-1][1] == len(told) * len(pixels)


def test_random_signs_stand_for_all_neurons_of_a_layer() -> None:
    module = nn.Conv2d(3, 5, (3, 5), bias=False)
    with torch.no_grad():  # two neurons look at the top row, three at the two columns on the right
        module.weight.zero_()
        module.weight[:2, :, 0] = 1
        module.weight[2:, :, :, 3:] = -1
    network = network_of(nn.Sequential(module), "0")
    found = effective_field(network, "0", [np.repeat(noise(1, 1), 200, axis=0)], 0).boxes
    y, x = np.mgrid[: SIZE[0] - 2, : SIZE[1] - 4]
    np.testing.assert_array_equal(found, np.stack([x, y, x + 5, y + 3], axis=2))


def test_a_linear_network_has_the_field_of_its_kernels() -> None:
    module = nn.Sequential(nn.Conv2d(3, 1, (3, 5), bias=False), nn.Conv2d(1, 1, 3, bias=False))
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    rows, columns = np.convolve(np.ones(3), np.ones(3)) ** 2, np.convolve(np.ones(5), np.ones(3)) ** 2
    box = smallest_by_trying(np.outer(rows, columns), HELD)
    assert (box.height, box.width) < (5, 7)
    found = effective_field(network_of(module, "1"), "1", [noise(2, 2)], 0).boxes
    for y, x in ((0, 0), (7, 3), (15, 21)):
        assert found[y, x].tolist() == [x + box.left, y + box.top, x + box.right, y + box.bottom]


def test_cells_without_a_gradient_keep_their_whole_field() -> None:
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    nn.init.constant_(module[0].bias, -1000)
    network = network_of(module, "1")
    found = effective_field(network, "1", [noise(3, 2)], 0)
    field = network.traces["1"].field.box(4, 6)
    assert found.box(4, 6) == field
    assert found.box(4, 6).area == 9


# -- in an index --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index whose layer "1" has effective fields, and the photographs that it was made of, beside it."""
    return build_effective(tmp_path_factory.mktemp("effective")).parent


@pytest.fixture
def own(measured: Path, tmp_path: Path) -> Path:
    """A copy of the index that a test may change; its photographs stay where they were."""
    return Path(shutil.copytree(measured / "index", tmp_path / "index"))


def test_boxes_stand_beside_the_exact_ones_and_within(measured: Path) -> None:
    with indexer.open(measured / "index") as index:
        assert (index.generation, index.effective_field("1").images, index.effective_field("1").seed) == (2, 5, 2)
        assert index.effective_field("0") is None
        patches = index.top_patches("1", 3, per_image="all", limit=200).items
        assert patches
        placement = index.manifest.configuration.preprocessing.placement
        for patch in patches:
            field = index.effective_field("1").box(patch.y, patch.x)
            assert patch.effective_box == placement(patch.image.width, patch.image.height).to_original(field)
            assert patch.effective_box.intersect(patch.box) == patch.effective_box
        assert any(patch.effective_box.area < patch.box.area / 2 for patch in patches)
        assert {patch.effective_box for patch in index.top_patches("0", 3).items} == {None}
        assert all(firing.effective_box for firing in index.neurons_firing(1, layer="1").items)
        assert all(similar.effective_box for similar in index.similar("1", 1, 0, 0).items)
        image = patches[0].image
        assert index.field_box(image, "1", 2, 3, "effective") == index.effective_box(image, "1", 2, 3)
        assert index.field_box(image, "1", 2, 3, "exact") == index.box(image, "1", 2, 3)
        with pytest.raises(NotFound, match="effective-field INDEX --layer 0 measures it"):
            index.field_box(image, "0", 2, 3, "effective")


def test_the_same_seed_measures_the_same(measured: Path) -> None:
    with indexer.open(measured / "index") as index:
        again = measure_effective_field(index, "1", images=5, seed=2)
        np.testing.assert_array_equal(again.field.boxes, index.effective_field("1").boxes)
        assert measure_effective_field(index, "1", images=99).field.images == 8
        for wrong in ({"images": 0}, {"images": 5000}, {"seed": -1}):
            with pytest.raises(InvalidRequest, match="must be"):
                measure_effective_field(index, "1", **wrong)


def grown(index: Path) -> None:
    photos = Path(read_manifest(index).image_root)
    new = photos / "birds" / "new.png"
    shutil.copyfile(photos / "boats" / "photo 001.png", new)
    try:
        add(index)
    finally:
        new.unlink()


def removed(index: Path) -> None:
    remove(index, ids=[1, 4])


def compacted(index: Path) -> None:
    removed(index)
    compact(index)


def more_layers(index: Path) -> None:
    add_layers(index, ["2"])


def fewer_layers(index: Path) -> None:
    drop_layers(index, ["0"])


@pytest.mark.parametrize("change", [grown, removed, compacted, more_layers, fewer_layers])
def test_later_generations_keep_it(own: Path, change: Callable[[Path], None]) -> None:
    with indexer.open(own) as before:
        expected = before.effective_field("1").boxes.copy()
    change(own)
    with indexer.open(own) as after:
        assert after.generation > 2
        np.testing.assert_array_equal(after.effective_field("1").boxes, expected)
    assert verify(own) == []
    kinds = bytes_by_kind(own, read_manifest(own))
    assert kinds["effective fields"] == sum(file.stat().st_size for file in (own / "effective").iterdir())


def test_it_goes_with_its_layer(own: Path) -> None:
    drop_layers(own, ["1"])
    assert not list((own / "effective").iterdir())
    assert not any(key.startswith("effective") for key in read_manifest(own).derived)
    assert verify(own) == []


def test_another_one_takes_its_place_and_readers_keep_theirs(own: Path) -> None:
    with indexer.open(own) as before:
        first = before.effective_field("1").boxes.copy()
        keep_effective_field(own, measure_effective_field(before, "1", images=1, seed=9))
        np.testing.assert_array_equal(before.effective_field("1").boxes, first)
        assert before.top_patches("1", 3).items
    with indexer.open(own) as after:
        assert (after.effective_field("1").images, after.effective_field("1").seed) == (1, 9)
        assert after.manifest.derived["images"] == "derived/000001/images.h5"
    assert len(list((own / "effective").iterdir())) == 2
    compact(own)
    assert len(list((own / "effective").iterdir())) == 1
    assert verify(own) == []


def test_a_layer_that_a_dictionary_makes_has_fields_too(own: Path) -> None:
    learned = [
        "dictionary",
        str(own),
        "--layer",
        "1",
        "--name",
        "parts",
        "--method",
        "kmeans",
        "--components",
        "4",
        "--cells",
        "100",
    ]
    assert main(learned) == 0
    with indexer.open(own) as index:
        assert index.effective_field("1") is not None
        found = measure_effective_field(index, "1~parts", images=2)
        assert found.field.boxes.shape == (*index.layer("1").info.shape, 4)
        keep_effective_field(own, found)
    with indexer.open(own) as index:
        patch, *_ = index.top_patches("1~parts", 0, limit=1).items
        assert patch.effective_box.intersect(patch.box) == patch.effective_box


def test_a_layer_that_was_dropped_meanwhile_is_refused(own: Path) -> None:
    with indexer.open(own) as index:
        measured = measure_effective_field(index, "1", images=1)
    drop_layers(own, ["1"])
    with pytest.raises(InvalidRequest, match="layer '1' was dropped or changed meanwhile; nothing was kept"):
        keep_effective_field(own, measured)


def test_a_damaged_file_is_found_refused_and_left_out_by_repair(own: Path) -> None:
    (file,) = (own / "effective").iterdir()
    data = bytearray(file.read_bytes())
    data[-100:] = b"\xff" * 100
    file.write_bytes(data)
    assert [fault.file for fault in verify(own)] == [f"effective/{file.name}"]
    with pytest.raises(DamagedFile, match=rf"effective/{file.name}: "):
        indexer.open(own)
    repair(own)
    with indexer.open(own) as index:
        assert index.effective_field("1") is None
    assert verify(own) == []


def test_the_command_says_what_it_sampled(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["effective-field", str(own), "--layer", "0", "--sample", "2"]) == 0
    said = capsys.readouterr().out
    assert "generation 3; 0: 95% of the mean squared gradient lie in a box of 3 x 3 input pixels" in said
    assert "sampled on 2 images, seed 0" in said
    assert main(["effective-field", str(own), "--layer", "7"]) == 1
    assert "the index has no layer '7'" in capsys.readouterr().err


def test_in_a_bucket_as_on_a_disk(object_store: ObjectStore, measured: Path) -> None:
    place = upload(measured / "index", object_store.place("effective/index"))
    assert verify(place) == []
    with indexer.open(place) as index, indexer.open(measured / "index") as local:
        assert index.effective_field("1").box(3, 4) == local.effective_field("1").box(3, 4)
        manifest = keep_effective_field(place, measure_effective_field(index, "0", images=2))
    assert manifest.generation == 3
    with indexer.open(place) as index:
        assert index.effective_field("0").images == 2
        assert index.effective_field("1").images == 5
    assert verify(place) == []
