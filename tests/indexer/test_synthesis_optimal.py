"""Optimal inputs of a tiny network's neurons, and how far to trust them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import indexer
from indexer.cli import main
from indexer.errors import BadActivations, DamagedFile, InvalidRequest, NotFound, Stopped
from indexer.jobs.build import build
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.network.forward import Network
from indexer.pictures.crop import scale
from indexer.pictures.made_column import with_made
from indexer.pictures.sheet import sheet
from indexer.query.index import Index
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.kept import kept_optimal
from indexer.synthesis.optimal import Maker, optimal
from indexer.synthesis.recipe import Settings, from_png
from tests.conftest import build_request, write_photos
from tests.planted import build_planted, numbered, write_colours

LAYERS = ("0", "1", "2", "5")
"""A convolution, its ReLU, another convolution, and the output."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("made")
    photos = write_photos(folder / "photos", seed=3, count=12)
    build(
        folder / "index",
        build_request(photos, model="tests.own_models:small", weights="none", layers=LAYERS, preprocessing={}),
    )
    with indexer.open(folder / "index") as opened:
        yield opened


@pytest.fixture(scope="module")
def network(index: Index) -> Network:
    return index.network()


def test_maps_are_those_of_the_network(index: Index, network: Network) -> None:
    seen = Differentiable(network)
    assert seen.order == list(LAYERS)
    pixels = network.noise(2)
    mine = seen.maps(torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2) / 255, LAYERS)
    theirs = network.run(pixels, lambda layer, maps: maps.clone())
    before = seen.maps(torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2) / 255, ["1"], before_relu=True)["1"]
    for layer in LAYERS:
        assert torch.allclose(mine[layer], theirs[layer], atol=1e-4)
    assert torch.allclose(before, theirs["0"], atol=1e-4)
    with pytest.raises(InvalidRequest, match="layers must be some of 0, 1, 2, 5, not 3"):
        seen.maps(torch.zeros(1, 3, 20, 28), ["3"])


@pytest.mark.parametrize("way", ["fourier", "pixels", "maco"])
@pytest.mark.parametrize(("layer", "neuron"), [("1", 3), ("2", 0), ("5", 2)])
def test_images_move_their_neuron(index: Index, network: Network, way: str, layer: str, neuron: int) -> None:
    few, many = (optimal(index, network, layer, neuron, Settings(way=way, steps=steps, rate=0.1)) for steps in (1, 30))
    assert many.pixels.shape == (20, 28, 3)
    assert many.trust.transformed > few.trust.transformed
    plain = network.run(many.pixels[None], lambda _, maps: maps.amax(dim=(2, 3)))[layer][0, neuron]
    assert many.trust.activation == pytest.approx(float(plain))
    assert many.trust.highest == pytest.approx(index.layer(layer).peaks[neuron].max())


def test_the_same_seed_makes_the_same_image_and_another_another(index: Index, network: Network) -> None:
    first, again, other = (Maker(index, network, "2", Settings(steps=6, seed=seed)).make([1, 3]) for seed in (5, 5, 6))
    assert [made.png() for made in first] == [made.png() for made in again]
    assert not np.array_equal(first[0].pixels, other[0].pixels)


def test_a_neuron_that_nothing_can_move_is_named_and_the_others_are_made(index: Index, network: Network) -> None:
    maker = Maker(index, network, "1", Settings(steps=10))
    told: list[int] = []
    assert [made.neuron for made in maker.make([1, 2], told.append)] == [2]
    assert maker.unmoved == [1]
    assert told == list(range(1, 11))
    with pytest.raises(InvalidRequest, match="nothing moves what is asked for in neuron 1 of 1: no gradient"):
        optimal(index, network, "1", 1, Settings(steps=10))


def test_a_neuron_asleep_behind_its_relu_can_be_moved(index: Index, network: Network) -> None:
    made = optimal(index, network, "1", 0, Settings(steps=10))
    assert (made.trust.activation, made.trust.highest, made.trust.ratio) == (0, 0, None)


def test_the_place_in_earlier_layers_against_a_slow_twin(index: Index, network: Network) -> None:
    made = optimal(index, network, "2", 1, Settings(steps=8))
    assert [earlier.layer for earlier in made.trust.earlier] == ["0", "1"]
    peaks = network.run(made.pixels[None], lambda _, maps: maps.amax(dim=(2, 3)).numpy())
    for earlier in made.trust.earlier:
        photographs = np.array([index.activation_maps(record.id, earlier.layer).max(axis=(1, 2))
                                for record in index.find_images(limit=99).items])  # fmt: skip
        alive = photographs.std(axis=0) > 0
        mean, deviation = photographs.mean(axis=0), np.where(alive, photographs.std(axis=0), np.inf)
        distances = [
            np.sqrt((((one - mean) / deviation) ** 2).mean()) for one in (*photographs, peaks[earlier.layer][0])
        ]
        assert earlier.distance == pytest.approx(distances[-1], rel=2e-2)
        assert earlier.farther_than == pytest.approx(100 * np.mean(np.array(distances[:-1]) < distances[-1]), abs=9)
        assert (earlier.photographs, earlier.of) == (12, 12)
        assert earlier.like_top is not None
        assert -1 <= earlier.like_top <= 1


@pytest.mark.parametrize("constant", [0.1, 0.3, 7.7])
def test_neurons_that_are_the_same_on_all_photographs_add_nothing(constant: float, tmp_path: Path) -> None:
    """Pruned channels behind a normalisation are: their deviation is 0, and not what rounding leaves."""
    photos = write_colours(tmp_path / "photos", 3, numbered(11), noise=90)
    with indexer.open(build_planted(photos, tmp_path / "index", {3: constant})) as opened:
        peaks = opened.layer("1").peaks_by_image.astype(np.float64)
        assert len(peaks) == 33
        assert (peaks[:, 3] == np.float32(constant)).all()
        network = opened.network()
        made = optimal(opened, network, "4", 1, Settings(steps=8))
        (earlier,) = made.trust.earlier
        own = network.run(made.pixels[None], lambda _, maps: maps.amax(dim=(2, 3)).numpy(), ["1"])["1"][0]
    standard = [0.0 if n == 3 else (float(own[n]) - peaks[:, n].mean()) / peaks[:, n].std() for n in range(6)]
    assert earlier.distance == pytest.approx(np.sqrt(np.mean(np.square(standard))), rel=1e-6)


def test_a_file_carries_its_recipe_and_its_figures(index: Index, network: Network) -> None:
    made = optimal(index, network, "2", 1, Settings(steps=3, seed=9))
    pixels, text = from_png(made.png(), "a file")
    assert np.array_equal(pixels, made.pixels)
    assert text["recipe"]["weights"] == index.manifest.configuration.weights_digest
    assert (text["recipe"]["neuron"], text["recipe"]["seed"], text["recipe"]["steps"]) == (1, 9, 3)
    assert text["trust"] == made.trust.as_dict()
    damaged = bytearray(made.png())
    damaged[len(damaged) // 2] ^= 1
    for bad in (bytes(damaged), b"", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(DamagedFile, match="a file: "):
            from_png(bad, "a file")


@pytest.mark.parametrize(("changes", "said"), [
    ({"way": "clay"}, "way must be one of fourier, maco, pixels, not 'clay'"),
    ({"aim": "edge"}, "aim must be one of mean, centre"),
    ({"steps": 0}, "steps must be 1 to 4096, not 0"), ({"steps": 5000}, "steps must be"),
    ({"rate": float("nan")}, "rate must be above 0"), ({"seed": -1}, "seed must be"),
])  # fmt: skip
def test_settings_have_bounds(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        Settings(**changes)  # type: ignore[arg-type]


def test_what_cannot_be_made_is_refused(index: Index, network: Network) -> None:
    with pytest.raises(NotFound, match="neuron"):
        optimal(index, network, "2", 99)
    with pytest.raises(NotFound, match="no layer '9'"):
        optimal(index, network, "9", 0)
    with pytest.raises(Stopped):
        Maker(index, network, "2", Settings()).make([0], stop=lambda: True)
    broken = index.network()
    with torch.no_grad():
        broken.model.module.get_parameter("2.weight").fill_(torch.nan)
    with pytest.raises(BadActivations, match="2 became NaN or infinite"):
        optimal(index, broken, "2", 0)


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_the_command_keeps_images_and_goes_on_where_it_ended(
    index: Index, network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("make", "optimal", index.path, "--layer", "1", "--steps", 10, "--batch", 2)
    assert kept_optimal(index, "1", 3) is None
    out = command(capsys, *asked, "--neurons", "3")
    kept = kept_optimal(index, "1", 3)
    made = optimal(index, network, "1", 3, Settings(steps=10))
    assert kept is not None
    assert kept.data == made.png()
    trust = made.trust
    beside = f"{trust.ratio:.2f} of the highest photograph ({trust.transformed_ratio:.2f} on fresh views)"
    earlier = f"0: farther than {trust.earlier[0].farther_than:.0f} % of 12 photographs"
    assert out == f"3: activation {trust.activation:.4g}, {beside}; {earlier}\n"
    out = command(capsys, *asked, "--neurons", "all")
    assert "1 were there already: 3\n1 cannot be moved: 1\n" in out
    assert [line.split(":")[0] for line in out.splitlines()[:4]] == ["0", "2", "4", "5"]
    assert "3: " in command(capsys, *asked, "--neurons", "3", "--seed", 1).splitlines()[0]


def test_kept_images_outlive_generations_and_are_checked(
    index: Index, network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "index"
    shutil.copytree(index.path, own)
    command(capsys, "make", "optimal", own, "--layer", "2", "--neurons", "1", "--steps", 2)
    remove(own, ids=[0])
    compact(own)
    with indexer.open(own) as later:
        assert later.generation == 3
        kept = kept_optimal(later, "2", 1)
        assert kept is not None
        assert kept.data == optimal(index, network, "2", 1, Settings(steps=2)).png()
        file = next((own / "made" / "2").glob("*/000001.png"))
        (file.parent / "000002.png").write_bytes(kept.data)
        with pytest.raises(DamagedFile, match=r"made/2/\w+/000002.png: is not of this neuron"):
            kept_optimal(later, "2", 2)
        file.write_bytes(kept.data[:-40])
        with pytest.raises(DamagedFile, match=r"000001.png"):
            kept_optimal(later, "2", 1)
    assert "1: activation" in command(capsys, "make", "optimal", own, "--layer", "2", "--neurons", "1", "--steps", 2)


@pytest.mark.parametrize(("arguments", "said"), [
    (("--layer", "2", "--neurons", "99"), "layer 2 has the neurons 0 to 3, not 99"),
    (("--layer", "2", "--neurons", "x"), "neurons must be numbers with commas"),
    (("--layer", "2", "--neurons", "1", "--steps", "0"), "steps must be 1 to 4096, not 0"),
    (("--layer", "2", "--neurons", "1", "--batch", "0"), "batch must be 1 to 256, not 0"),
])  # fmt: skip
def test_the_command_says_in_one_line_why_not(
    index: Index, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["make", "optimal", str(index.path), *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_sheet_begins_with_the_made_image(index: Index, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(capsys, "make", "optimal", index.path, "--layer", "2", "--neurons", "0,3", "--steps", 2)
    plain = sheet(index, "2", [3, 0], columns=2, rows=2, size=64)
    drawn = with_made(index, "2", [3, 0], plain)
    assert drawn.heads == ["made", "1", "2"]
    for line, neuron in ((0, 3), (2, 0)):
        kept = kept_optimal(index, "2", neuron)
        assert kept is not None
        assert drawn.tiles[line][0].text == f"{kept.about['trust']['ratio']:.2f}"
        assert np.array_equal(
            np.asarray(drawn.tiles[line][0].picture), np.asarray(scale(Image.fromarray(kept.pixels), 64))
        )
        assert drawn.tiles[line][1:] == plain.tiles[line]
    assert drawn.tiles[1][0].text == ""
    asked = ("sheet", index.path, "--layer", "2", "--made", "--columns", 3, "--out", tmp_path / "sheet.png")
    command(capsys, *asked, "--neurons", "0,3")
    assert (tmp_path / "sheet.png").is_file()
    assert main([str(each) for each in (*asked, "--neurons", "0,2")]) == 1
    assert "no image has been made for neuron 2 of 2" in capsys.readouterr().err
