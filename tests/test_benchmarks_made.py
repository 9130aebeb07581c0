"""The benchmarks of made images run, at toy size, and find what is found by hand."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

import indexer
from benchmarks import cifar, lucent, made, making, style, transfer
from examples.photographs import read_archive
from indexer.errors import InvalidRequest
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.images.natural import natural
from tests.planted import build_planted, numbered, write_colours

EACH = 10
"""Photographs of each of ten classes."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two networks trained on colours."""
    folder = tmp_path_factory.mktemp("cifar")
    rng = np.random.default_rng(2)
    with tarfile.open(folder / "photos.tar", "w") as tar:
        for number in range(EACH):
            for class_, colour in enumerate(rng.permutation(10)):
                pixels = np.full((32, 32, 3), 25 * class_) + rng.normal(0, 20, (32, 32, 3)) + colour
                data = io.BytesIO()
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(data, "PNG")
                member = tarfile.TarInfo(f"photos/{class_}/{number:02}.png")
                member.size = len(data.getvalue())
                tar.addfile(member, io.BytesIO(data.getvalue()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar, "_BATCH", 30)
        assert cifar.main([str(folder / "photos.tar"), str(folder), "--epochs", "4"]) == 0
    return folder


@pytest.fixture(scope="module")
def index(trained: Path) -> Iterator[Index]:
    with indexer.open(trained / "indexes" / "seed-0") as opened:
        yield opened


@pytest.fixture(scope="module")
def network(index: Index) -> Network:
    return index.network()


@pytest.mark.slow
def test_networks_are_trained_on_photographs_that_their_index_has_not(trained: Path, index: Index) -> None:
    everything = read_archive(trained / "photos.tar")
    shown, held_out = cifar.parted(everything)
    assert len(held_out.codes) == len(index.images) == EACH
    assert len(shown.codes) == 9 * EACH
    assert not {one.tobytes() for one in shown.pixels} & {one.tobytes() for one in held_out.pixels}
    model, _ = cifar.network()
    model.load_state_dict(torch.load(trained / "seed-0.pth", weights_only=True))
    model.eval()
    by_hand = np.mean([
        int(model((torch.tensor(pixels).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25).argmax()) == code
        for pixels, code in zip(held_out.pixels, held_out.codes, strict=True)
    ])  # fmt: skip
    assert cifar.accuracy(model, held_out) == pytest.approx(by_hand)
    assert cifar.accuracy(model, shown) > 0.15  # by chance a tenth
    first, again, other = (cifar.train(shown, seed, 1)[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.slow
def test_shares_are_those_of_the_highest_photograph(index: Index, network: Network, tmp_path: Path) -> None:
    neurons = made.drawn(index, "10", 2, seed=3)
    assert len(set(neurons)) == 2
    makes = made.ways(index, network, "10", steps=4, seed=0)
    highest = made.shares(index, network, "10", neurons, "photograph", makes["photograph"])
    np.testing.assert_allclose(highest.raw, 1, rtol=2e-3)
    own = makes["lucent"](neurons)
    found = made.shares(index, network, "10", neurons, "lucent", lambda part: own[[neurons.index(n) for n in part]])
    for row, neuron in enumerate(neurons):
        plain = network.run(own[row : row + 1], lambda _, maps: maps.amax((2, 3)).numpy())["10"][0, neuron]
        assert found.raw[row] == pytest.approx(plain / index.layer("10").statistics["maximum"][neuron], rel=1e-4)
    out = tmp_path / "shares.json"
    arguments = [str(index.path), "--layer", "10", "--neurons", "1", "--steps", "2", "--ways", "fourier"]
    made.main([*arguments, "--out", str(out)])
    assert [(one["way"], len(one["fresh"])) for one in json.loads(out.read_text())] == [("fourier", 1)]


@pytest.mark.slow
def test_the_recipe_of_lucent_drives_neurons_by_views_that_move(index: Index, network: Network) -> None:
    neurons = made.drawn(index, "6", 3, seed=0)
    colours = lucent.colours_of(natural(index))
    assert float(colours.norm(dim=0).max()) == pytest.approx(1)
    start, end, again = (lucent.ascend(network, "6", neurons, colours, steps, 7) for steps in (0, 12, 12))
    assert np.array_equal(end, again)
    means = [
        network.run(images, lambda _, maps: maps.mean((2, 3)).numpy())["6"][range(3), neurons]
        for images in (start, end)
    ]
    assert means[1].sum() > 1.2 * means[0].sum()
    image = torch.rand(1, 3, 32, 40)
    views = [lucent.viewed(image, np.random.default_rng(seed)) for seed in range(12)]
    assert {view.shape[2] >= 32 + 24 and view.shape[3] >= 40 + 24 for view in views} == {True}
    assert len({view.shape for view in views}) > 3
    assert any((view[0, :, 0] == 0).all() for view in views)  # moved from there, and black since


def test_other_views_are_near_to_the_image() -> None:
    grey = torch.full((1, 3, 32, 32), 0.5)
    own = torch.Generator().manual_seed(0)
    torch.testing.assert_close(made.other_view(grey, own), grey)
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    seen = made.other_view(ramp, own)[..., 8:24, 8:24]
    assert 0.01 < float((seen - ramp[..., 8:24, 8:24]).abs().mean()) < 0.15


@pytest.mark.slow
def test_class_images_are_answered_by_both_networks(trained: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    folder, out = trained / "indexes", tmp_path / "seen.json"
    arguments = ["--images", "1", "--steps", "20", "--ways", "pixels", "--out", str(out)]
    transfer.main([str(folder / "seed-0"), str(folder / "seed-1"), *arguments])
    [found] = json.loads(out.read_text())
    assert (found["images"], found["outputs"]) == (10, 10)
    assert found["by_first"] > 2  # by chance one
    assert "| 10% |" in capsys.readouterr().out
    other = build_planted(write_colours(tmp_path / "photos", 7, numbered(1)), tmp_path / "index")
    with pytest.raises(InvalidRequest, match="the same outputs"):
        transfer.main([str(folder / "seed-0"), str(other)])


@pytest.mark.parametrize(("seen", "images"), [(0, 10), (7, 30), (50, 50)])
def test_the_interval_of_a_share_is_wilsons(seen: int, images: int) -> None:
    theirs = binomtest(seen, images).proportion_ci(method="wilson")
    assert transfer.Seen("fourier", images, 10, seen, seen).interval == pytest.approx(theirs, abs=1e-4)


@pytest.mark.slow
def test_attacks_are_compared_on_the_same_images(trained: Path, index: Index, network: Network, tmp_path: Path) -> None:
    pytest.importorskip("foolbox")
    from benchmarks import fooling

    outputs, images = fooling.outputs_of(index, network), fooling.images_of(index, 2)
    torch.testing.assert_close(fooling.Peer(network)(images), outputs(images), atol=1e-4, rtol=1e-4)
    out = tmp_path / "attacks.json"
    fooling.main([str(index.path), "--images", "2", "--l2", "0.3", "--linf", "--out", str(out)])
    rows = {(row["attack"], row["by"]): row for row in json.loads(out.read_text())}
    ours, theirs = (rows["DeepFool, l2", by] for by in ("unitscope", "foolbox"))
    assert ours["fooled"] == theirs["fooled"] == [True] * 2
    np.testing.assert_allclose(ours["norms"], theirs["norms"], rtol=0.1)
    ours, theirs = (rows["descent, l2, at most 0.3", by] for by in ("unitscope", "foolbox"))
    assert max(ours["norms"] + theirs["norms"]) <= 0.3001
    assert all(mine >= other for mine, other in zip(ours["fooled"], theirs["fooled"], strict=True))
    name = "DeepFool, l2"
    assert fooling.Outcome(name, "foolbox", [True, False, True], [1.0, 9.0, 2.0], 0.1).median == 1.5


@pytest.mark.slow
def test_paintings_are_of_two_classes(index: Index, tmp_path: Path) -> None:
    found = style.pairs(index, 3, seed=1)
    rows = [row for pair in found for row in pair]
    assert len(set(rows)) == 6
    for pair in found:
        first, second = (index.image(int(index.images.id[row])).class_ for row in pair)
        assert first != second
    out, sheet = tmp_path / "paintings.json", tmp_path / "sheet.png"
    layers = ["--layer", "6", "--style-layers", "2,6", "--out", str(out), "--sheet", str(sheet)]
    style.main([str(index.path), *layers, "--pairs", "2", "--steps", "12"])
    painted = json.loads(out.read_text())
    assert all(one["style"] < one["style_before"] for one in painted)
    with Image.open(sheet) as picture:
        assert picture.size == (96, 64)


@pytest.mark.slow
def test_cost_is_measured(index: Index, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr(making, "STEPS", 1)
    out = tmp_path / "cost.json"
    arguments = [str(index.path), "--layer", "6", "--steps", "8", "--count", "16", "--measured", "9"]
    making.main([*arguments, "--out", str(out)])
    [row] = json.loads(out.read_text())["rows"]
    assert "8 images of 32 x 32" in row["name"]
    assert min(row["reference"] + row["measured"]) > 0
    assert "9 neurons, 1 steps: " in capsys.readouterr().out


def test_cost_is_planned_in_batches() -> None:
    assert making.Plan(3, 0.5, 0.25).seconds(9, 10) == 3 + 2 * 10 * 0.5 + 9 * 0.25


def test_what_counts_as_well_painted() -> None:
    assert style.Painted("a", "b", 1.0, 0.1, 0.5, 0.6).well
    assert not style.Painted("a", "b", 1.0, 0.1, 0.7, 0.6).well
    assert not style.Painted("a", "b", 0.9, 0.1, 0.5, 0.6).well
