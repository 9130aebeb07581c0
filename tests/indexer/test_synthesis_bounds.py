"""What made images say about networks at the edge: NaN, other precisions, parts of outputs, cells that see little."""

from pathlib import Path

import numpy as np
import pytest
import torch

import indexer
from indexer.cli import main
from indexer.errors import BadActivations
from indexer.jobs.build import build
from indexer.query.index import Index
from indexer.synthesis.art import art
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.dream import Dream, dream
from indexer.synthesis.images.pixels import to_colours
from indexer.synthesis.optimal import Maker, optimal
from indexer.synthesis.recipe import Settings
from tests.conftest import build_request, write_photos
from tests.indexer.test_parts import FORMS, Whole, network, picture


def built(folder: Path, **changes: object) -> Index:
    photos = write_photos(folder / "photos", seed=7, count=3)
    build(folder / "index", build_request(photos, weights="none", preprocessing={}, **changes))
    return indexer.open(folder / "index")


def test_nan_on_an_image_is_said_and_not_painted(tmp_path: Path) -> None:
    with built(tmp_path, model="tests.own_models:poisoned", layers=("0", "1")) as index:
        made = index.network()
        white, grey = (np.full((20, 28, 3), colour, np.uint8) for colour in (255, 90))
        said = "0 became NaN or infinite on the image that is made"
        with pytest.raises(BadActivations, match=said):
            dream(index, made, white, Dream("0", octaves=1, steps=1))
        for pair in ((white, grey), (grey, white)):
            with pytest.raises(BadActivations, match=said):
                art(index, made, *pair, content_layer="0", style_layers=["0"], steps=1)


def test_an_index_of_half_precision_has_figures_of_its_own_network(tmp_path: Path) -> None:
    with built(tmp_path, model="tests.own_models:small", layers=("1", "2"), precision="bfloat16") as index:
        found = index.network()
        assert found.precision == "bfloat16"
        made = optimal(index, found, "2", 0, Settings(steps=5))
        own = found.run(made.pixels[None], lambda _, maps: maps.float().amax(dim=(2, 3)), ["2"])["2"][0, 0]
        assert made.trust.activation == pytest.approx(float(own))


def test_a_part_of_an_output_is_driven_as_a_layer_is() -> None:
    torch.manual_seed(1)
    made = network(Whole(FORMS["tuple"][0], True, "0"), "pair:1", "head")
    seen = Differentiable(made)
    shown, _ = picture(2)
    images = to_colours(made.model.preprocessing.pixels(shown)).requires_grad_()
    maps = seen.maps(images, ["pair:1"])["pair:1"]
    assert np.allclose(maps.detach(), made.maps([shown])["pair:1"], atol=1e-4)
    maps[0, 2].sum().backward()
    assert bool(images.grad.any())


def test_a_cell_that_sees_a_part_of_the_image_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with built(tmp_path, model="tests.own_models:small", layers=("1", "2", "5")) as index:
        found = index.network()
        notes = {
            (layer, aim): Maker(index, found, layer, Settings(aim=aim)).note
            for layer in ("1", "2", "5") for aim in ("centre", "mean")
        }  # fmt: skip
        said = "the cell in the middle of 1 sees 3 x 3 of 28 x 20 pixels alone"
        assert notes["1", "centre"] == said
        assert [note for key, note in notes.items() if key not in {("1", "centre"), ("2", "centre")}] == [None] * 4
        asked = ["make", "optimal", str(index.path), "--layer", "1", "--neurons", "3", "--aim", "centre"]
        assert main([*asked, "--steps", "2"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == said
