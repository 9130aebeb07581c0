"""Images that do several things at once, or that differ; and images for atoms of dictionaries."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound
from indexer.network.encoding.encoders import KMeansEncoder, NMFEncoder, SparseAutoencoder
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.images.pixels import to_colours
from indexer.synthesis.optimal import optimal
from indexer.synthesis.recipe import Settings, from_png
from indexer.synthesis.wanted import Wanted, make_wanted
from indexer.synthesis.wishes import read_wish
from tests.planted import build_planted, numbered, write_colours

QUICK = Settings(steps=10, rate=0.2)
WISHES: dict[str, Sequence[str]] = {
    "neuron": ("neuron", "1", "2"), "unit": ("unit", "1", "0", "2,3"), "patch": ("patch", "1", "0", "4,5"),
    "class": ("class", "1", "2"), "output": ("output", "1"), "layer": ("layer", "1"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wanted")
    path = build_planted(write_colours(folder / "photos", 6, numbered(3), noise=90), folder / "index")
    learning = ["dictionary", str(path), "--layer", "1", "--name", "few", "--method", "kmeans", "--components", "3"]
    assert main(learning) == 0
    return path


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder) as index:
        yield index


@pytest.fixture(scope="module")
def network(index: Index) -> Network:
    return index.network()


def by_hand(index: Index, network: Network, kind: str, pixels: np.ndarray) -> float:
    """What a wish comes to, from a plain pass."""
    maps = network.run(pixels[None], lambda _, found: found[0].numpy().astype(np.float64), ["1", "4"])
    mean = maps["1"].mean(axis=(1, 2))
    if kind == "patch":
        vector = index.activation_maps(0, "1")[:, 4, 5].astype(np.float64)
        return float(mean @ vector / np.linalg.norm(vector))
    if kind == "class":
        peaks = index.layer("1").peaks_by_image[:].astype(np.float64)
        deviation = np.where(peaks.std(axis=0) > 0, peaks.std(axis=0), np.inf)
        own = peaks[[record.class_ == "2" for record in index.find_images(limit=9).items]]
        apart = (own.mean(axis=0) - peaks.mean(axis=0)) / deviation
        return float(mean @ (apart / np.linalg.norm(apart) / deviation))
    values = {"neuron": mean[2], "unit": maps["1"][0, 2, 3], "output": maps["4"][1].mean()}
    return float(values[kind] if kind in values else np.square(maps["1"].clip(0)).mean())


@pytest.mark.parametrize("kind", WISHES)
def test_a_wish_comes_true(index: Index, network: Network, kind: str) -> None:
    [made] = make_wanted(index, network, [read_wish(index, WISHES[kind])], QUICK)
    assert made.after[0] > made.before[0]
    assert made.after[0] == pytest.approx(by_hand(index, network, kind, made.pixels), rel=1e-3, abs=1e-4)
    text = from_png(made.png(), "a file")[1]
    assert (text["recipe"], text["before"], text["after"]) == (made.recipe, made.before, made.after)


def test_several_wishes_come_true_at_once_and_one_below_0_is_avoided(index: Index, network: Network) -> None:
    both = [read_wish(index, words) for words in (("2", "neuron", "1", "2"), ("neuron", "1", "1"))]
    [made] = make_wanted(index, network, both, QUICK)
    assert [wish["weight"] for wish in made.recipe["wishes"]] == [2, 1]
    assert all(after > before for before, after in zip(made.before, made.after, strict=True))
    [avoided] = make_wanted(index, network, [read_wish(index, ("-1", "neuron", "1", "5"))], QUICK)
    assert avoided.after[0] < avoided.before[0]


def alike(network: Network, made: Sequence[Wanted]) -> float:
    """The mean cosine between Gram matrices of layer 1."""
    flat = []
    for one in made:
        maps = network.run(one.pixels[None], lambda _, found: found[0].flatten(1).numpy().copy(), ["1"])["1"]
        gram = maps @ maps.T
        flat.append((gram / np.linalg.norm(gram)).ravel())
    cosines = np.array(flat) @ np.array(flat).T
    return float(cosines[~np.eye(len(made), dtype=bool)].mean())


def test_images_that_are_to_differ_do(index: Index, network: Network) -> None:
    wish = [read_wish(index, ("layer", "1"))]
    like, unlike = (make_wanted(index, network, wish, QUICK, images=3, apart=apart) for apart in (0.0, 100.0))
    assert alike(network, unlike) < alike(network, like) - 0.01
    again = make_wanted(index, network, wish, QUICK, images=3, apart=100.0)
    assert [one.png() for one in again] == [one.png() for one in unlike]


@pytest.mark.parametrize("way", ["fourier", "pixels"])
def test_an_image_may_be_begun_with(index: Index, network: Network, way: str) -> None:
    start = index.manifest.configuration.preprocessing.pixels(index.picture(index.image(4)))
    wish = [read_wish(index, ("neuron", "1", "0"))]
    [made] = make_wanted(index, network, wish, Settings(way=way, steps=1, rate=1e-5), start=start)
    assert np.abs(made.pixels.astype(int) - start.clip(5, 250)).max() <= 3
    [moved] = make_wanted(index, network, wish, Settings(way=way, steps=20, rate=0.05), start=start)
    assert moved.after[0] > moved.before[0]
    with pytest.raises(InvalidRequest, match="maco keeps the magnitudes"):
        make_wanted(index, network, wish, Settings(way="maco"), start=start)


@pytest.mark.parametrize(("words", "error", "said"), [
    ((), InvalidRequest, "says nothing that may be wanted; say neuron LAYER NEURON, or unit"),
    (("2",), InvalidRequest, "says nothing that may be wanted"), (("dog", "1"), InvalidRequest, "'dog 1' says nothing"),
    (("neuron", "1"), InvalidRequest, "says nothing"), (("neuron", "1", "x"), InvalidRequest, "'x' must be a number"),
    (("unit", "1", "0", "2"), InvalidRequest, "'2' must be a cell"), (("unit", "1", "0", "99,0"), NotFound, "99"),
    (("neuron", "9", "0"), NotFound, "no layer '9'"), (("neuron", "1", "99"), NotFound, "99"),
    (("patch", "1", "999", "0,0"), NotFound, "999"), (("class", "1", "cat"), NotFound, "cat"),
    (("output", "unicorn"), NotFound, "unicorn"), (("0", "layer", "1"), InvalidRequest, "a weight must be"),
    (("nan", "layer", "1"), InvalidRequest, "a weight must be"),
])  # fmt: skip
def test_what_cannot_be_wished_is_refused(index: Index, words: Sequence[str], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        read_wish(index, words)


def test_bounds_are_said(index: Index, network: Network) -> None:
    wish = [read_wish(index, ("neuron", "1", "0"))]
    for changes, said in (({"images": 65}, "images must be 1 to 64"), ({"apart": -1.0}, "apart must be 0 to"),
                          ({"apart": 1.0}, "one image differs from no other")):  # fmt: skip
        with pytest.raises(InvalidRequest, match=said):
            make_wanted(index, network, wish, QUICK, **changes)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="say what is wanted"):
        make_wanted(index, network, [], QUICK)
    with pytest.raises(InvalidRequest, match="nothing moves what is asked for in 1"):
        make_wanted(index, network, [read_wish(index, ("neuron", "1", "3"))], QUICK)


def test_the_command_writes_what_the_library_makes(
    index: Index, network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = [read_wish(index, words) for words in (("0.5", "neuron", "1", "0"), ("output", "2"))]
    expected = make_wanted(index, network, wishes, Settings(steps=3), images=2, apart=1.0)
    asked = ["make", "wanted", str(index.path), "--want", "0.5", "neuron", "1", "0", "--want", "output", "2"]
    assert main([*asked, "--count", "2", "--apart", "1", "--steps", "3", "--out", str(tmp_path / "a.png")]) == 0
    assert [(tmp_path / f"a-{number}.png").read_bytes() for number in (1, 2)] == [one.png() for one in expected]
    low, high = expected[1].before[0], expected[1].after[0]
    assert f"a-2.png: 0.5 neuron 1 0: {low:.4g} -> {high:.4g}; output 2: " in capsys.readouterr().out


def test_an_atom_of_a_dictionary_is_driven_as_a_neuron_is(index: Index, network: Network) -> None:
    layer = "1~few"
    seen = Differentiable(network)
    assert seen.order.index("1") < seen.order.index(layer)
    pixels = network.noise(1)
    mine = seen.maps(to_colours(pixels[0]), [layer])[layer]
    theirs = network.run(pixels, lambda _, maps: maps.clone(), [layer])[layer]
    assert np.allclose(mine, theirs, atol=1e-3)
    atom = int(np.argmax(index.layer(layer).statistics["maximum"]))
    few, many = (optimal(index, network, layer, atom, Settings(steps=steps, rate=0.1)) for steps in (1, 30))
    assert many.trust.activation > few.trust.activation
    assert "1" in [one.layer for one in many.trust.earlier]


def test_what_is_driven_of_an_atom_is_what_its_code_grows_with() -> None:
    rng = np.random.default_rng(3)
    maps, (atoms, bias, offset) = rng.random((2, 5, 2, 3)), (rng.random(shape) for shape in ((4, 5), 4, 5))
    tensors = [torch.from_numpy(each) for each in (atoms.T, bias, atoms, offset)]
    for encoder, slow in (
        (KMeansEncoder(tensors[2]), lambda vector: vector @ (atoms / np.linalg.norm(atoms, axis=1)[:, None]).T),
        (NMFEncoder(tensors[2]), lambda vector: vector @ atoms.T),
        (SparseAutoencoder(*tensors), lambda vector: (vector - offset) @ atoms.T + bias),
    ):
        found = encoder.driven_maps(torch.from_numpy(maps)).numpy()
        for image, y, x in np.ndindex(2, 2, 3):
            assert np.allclose(found[image, :, y, x], slow(maps[image, :, y, x]))
