"""Deep dream and deep art on a tiny network, against figures of plain passes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound, Stopped
from indexer.jobs.build import build
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.art import art
from indexer.synthesis.dream import Dream, dream
from indexer.synthesis.recipe import from_png
from tests.conftest import build_request, write_photos

LAYERS = ("0", "1", "2", "5")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("pictures")
    photos = write_photos(folder / "photos", seed=4, count=4)
    request = build_request(photos, model="tests.own_models:small", weights="none", layers=LAYERS, preprocessing={})
    build(folder / "index", request)
    with indexer.open(folder / "index") as opened:
        yield opened


@pytest.fixture(scope="module")
def network(index: Index) -> Network:
    return index.network()


def inputs(index: Index) -> list[np.ndarray]:
    preprocessing = index.manifest.configuration.preprocessing
    return [preprocessing.pixels(index.picture(record)) for record in index.find_images(limit=4).items]


def maps(network: Network, pixels: np.ndarray, layer: str) -> np.ndarray:
    return network.run(network.stacked([pixels]), lambda _, found: found[0].numpy().copy(), [layer])[layer]


def test_a_dream_amplifies_what_is_asked_for(index: Index, network: Network) -> None:
    for pixels in inputs(index)[:2]:
        for neurons in (None, [2], [3, 4]):
            wanted = Dream("1", neurons, octaves=2, steps=4, rate=0.02)
            made = dream(index, network, pixels, wanted)
            chosen = slice(None) if neurons is None else neurons
            before, after = (
                np.square(maps(network, each, "1")[chosen].clip(0)).mean() for each in (pixels, made.pixels)
            )
            assert after > before
            assert made.pixels.shape == pixels.shape
            assert dream(index, network, pixels, wanted).png() == made.png()
            assert from_png(made.png(), "a file")[1]["recipe"]["neurons"] == neurons


def test_art_comes_near_to_the_style_and_says_how_near(index: Index, network: Network) -> None:
    content, style = inputs(index)[:2]
    made = art(index, network, content, style, content_layer="2", style_layers=["0", "1"], steps=60)

    def grams(pixels: np.ndarray) -> list[np.ndarray]:
        flat = [maps(network, pixels, layer).reshape(6, -1) for layer in ("0", "1")]
        return [each @ each.T / each.shape[1] for each in flat]

    def far(mine: np.ndarray, theirs: np.ndarray) -> float:
        return float(np.square(mine - theirs).sum() / np.square(theirs).sum())

    for pixels, said in ((content, made.style_before), (made.pixels, made.style)):
        assert said == pytest.approx(sum(map(far, grams(pixels), grams(style))), rel=1e-2, abs=1e-6)
    for pixels, said in ((style, made.content_of_style), (made.pixels, made.content)):
        assert said == pytest.approx(far(maps(network, pixels, "2"), maps(network, content, "2")), rel=1e-2)
    assert made.style < made.style_before / 2
    assert made.content < made.content_of_style


def test_what_cannot_be_is_refused(index: Index, network: Network) -> None:
    content, style = inputs(index)[:2]
    with pytest.raises(InvalidRequest, match="octaves must be 1 to 8, not 9"):
        Dream("1", octaves=9)
    with pytest.raises(InvalidRequest, match="nothing moves what is asked for in 1: no gradient"):
        dream(index, network, content, Dream("1", [0, 1]))
    with pytest.raises(NotFound, match="neuron"):
        dream(index, network, content, Dream("1", [99]))
    with pytest.raises(Stopped):
        dream(index, network, content, Dream("1"), stop=lambda: True)
    with pytest.raises(InvalidRequest, match="sees no difference"):
        art(index, network, content, content, content_layer="2", style_layers=["1"])
    with pytest.raises(InvalidRequest, match="name a style layer"):
        art(index, network, content, style, content_layer="2", style_layers=[])
    with pytest.raises(NotFound, match="no layer '9'"):
        art(index, network, content, style, content_layer="2", style_layers=["9"])


def test_the_commands_write_what_the_library_makes(
    index: Index, network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, style = inputs(index)[:2]
    first, second = (record.id for record in index.find_images(limit=2).items)
    out = str(tmp_path / "made.png")
    dreaming = ["make", "dream", str(index.path), str(first), "--layer", "1", "--neurons", "2,3", "--steps", "2"]
    assert main([*dreaming, "--out", out]) == 0
    assert Path(out).read_bytes() == dream(index, network, content, Dream("1", [2, 3], steps=2)).png()
    painting = ["make", "art", str(index.path), str(first), str(second), "--layer", "2", "--style-layers", "0,1"]
    assert main([*painting, "--steps", "3", "--out", out]) == 0
    made = art(index, network, content, style, content_layer="2", style_layers=["0", "1"], steps=3)
    assert Path(out).read_bytes() == made.png()
    assert f"distance from the style {made.style_before:.4g} -> {made.style:.4g}" in capsys.readouterr().out
    assert main([*dreaming, "--out", "x.jpg"]) == 1
    assert "x.jpg must end in .png" in capsys.readouterr().err
