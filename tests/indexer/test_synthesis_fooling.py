"""Fooling: attacks against what is exact on a linear network, and what they do to a small one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import indexer
from indexer.cli import main
from indexer.defaults import FOOLING_NORMS, MULTI_LABEL
from indexer.errors import InvalidRequest, NotFound
from indexer.index.told_outputs import Telling
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.attacks import descend, nearest_boundary, norm_of
from indexer.synthesis.fooling import fool, noise
from indexer.synthesis.recipe import from_png
from tests.marks import seeds
from tests.planted import build_planted, numbered, write_colours


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("fooled")
    photos = write_colours(folder / "photos", 7, numbered(4), noise=90)
    with indexer.open(build_planted(photos, folder / "index")) as opened:
        yield opened


@pytest.fixture(scope="module")
def network(index: Index) -> Network:
    return index.network()


class Linear:
    """Outputs (B, 5) that are linear in the image, around a grey one."""

    def __init__(self, seed: int) -> None:
        own = chance("linear", seed)
        self.weights = torch.randn(5, 3 * 5 * 7, generator=own)
        self.image = 0.4 + 0.2 * torch.rand(1, 3, 5, 7, generator=own)
        self.answer = int(self(self.image).argmax())

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return (images.flatten(1) - 0.5) @ self.weights.T

    def distance(self, norm: str, target: int | None) -> float:
        """To the nearest boundary, exactly."""
        found = self(self.image)[0]
        far = []
        for other in range(5) if target is None else [target]:
            if other != self.answer:
                slope = self.weights[other] - self.weights[self.answer]
                far.append(float((found[self.answer] - found[other]) / slope.norm(p=2 if norm == "l2" else 1)))
        return min(far)


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("norm", FOOLING_NORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_smallest_change_of_a_linear_network_is_exact(seed: int, norm: str, targeted: bool) -> None:
    linear = Linear(seed)
    target = (linear.answer + 1) % 5 if targeted else None
    changed = nearest_boundary(linear, linear.image, linear.answer, target, norm)
    now = int(linear(changed).argmax())
    assert (now == target) if targeted else (now != linear.answer)
    exact, distance = linear.distance(norm, target), norm_of(changed - linear.image, norm)
    assert exact <= distance
    if not targeted:  # another boundary may lie before the target's
        assert distance <= exact * 1.05 + 1e-4


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("norm", FOOLING_NORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_descent_keeps_within_its_bounds_and_fools_where_it_can(seed: int, norm: str, targeted: bool) -> None:
    linear = Linear(seed)
    target = (linear.answer + 2) % 5 if targeted else None
    exact = linear.distance(norm, target)
    for most, fooled in ((exact * 0.9, False), (exact * 4, True)):
        changed = descend(linear, linear.image, linear.answer, target, norm, most)
        now = int(linear(changed).argmax())
        assert ((now == target) if targeted else (now != linear.answer)) == fooled
        assert norm_of(changed - linear.image, norm) <= most * 1.0001 + 1e-6
        assert 0 <= changed.min() <= changed.max() <= 1


def test_a_network_is_fooled_and_the_neurons_that_turned_are_named(index: Index, network: Network) -> None:
    preprocessing = index.manifest.configuration.preprocessing
    for record in index.find_images(limit=20).items:
        pixels = preprocessing.pixels(index.picture(record))
        outputs = network.run(network.stacked([pixels]), lambda _, maps: maps.flatten(1).clone())
        own = index.manifest.output or ""
        answer = int(outputs[own].argmax())
        found = fool(index, network, pixels)
        assert found.answer_before.output == answer
        assert found.fooled
        assert found.answer_after.output != answer
        after = network.run(found.after[None], lambda _, maps: maps.flatten(1).clone())
        assert found.answer_after.confidence == pytest.approx(float(after[own].softmax(1).max()), rel=1e-4)
        difference = (found.after.astype(float) - pixels) / 255
        assert found.distance_kept == pytest.approx(np.linalg.norm(difference), rel=1e-4)
        for turning in found.turning:
            layer = index.layer(turning.layer)
            before, later = (
                network.run(network.stacked([one]), lambda _, maps: maps.amax((2, 3)).numpy())[turning.layer][0]
                for one in (pixels, found.after)
            )
            threshold = layer.firing_from(None)
            fires = [np.float16(values) >= threshold for values in (before, later)]
            expected = set(np.flatnonzero(fires[1] & ~fires[0]).tolist())
            assert turning.on == len(expected)
            assert turning.off == (fires[0] & ~fires[1]).sum()
            assert {one.neuron for one in turning.strongest} <= expected
        shown, about = from_png(found.png(), "a file")
        assert np.array_equal(shown, found.after)
        assert about["answer_after"]["output"] == found.answer_after.output


@pytest.mark.parametrize("norm", FOOLING_NORMS)
def test_a_change_that_rounding_undoes_is_enlarged_until_it_is_there(index: Index, network: Network, norm: str) -> None:
    height, width = index.manifest.configuration.preprocessing.input_size
    pixels = np.full((height, width, 3), (120, 120, 90), np.uint8)
    pixels[0, :, 0] += 1  # so little more red than green
    found = fool(index, network, pixels, norm=norm)
    assert found.answer_before.output == 0
    assert found.answer_after.output == 1
    assert found.fooled
    change = np.abs(found.after.astype(int) - pixels)
    assert change.max() == 1
    assert found.distance_kept > 5 * found.distance > 0
    slightly = fool(index, network, pixels, norm=norm, most=found.distance)
    assert not slightly.fooled
    assert np.array_equal(slightly.after, pixels)


def test_noise_is_answered_with_certainty(index: Index, network: Network) -> None:
    for target in range(3):
        few, many = (noise(index, network, str(target), steps=steps, rate=0.2) for steps in (1, 40))
        assert many.answer.output == target
        assert many.answer.confidence > 0.9
        assert many.answer.confidence >= few.answer.confidence or few.answer.output != target


@pytest.fixture(scope="module", params=["probabilities", "log_probabilities"])
def ended(request: pytest.FixtureRequest, index: Index) -> Iterator[Index]:
    """An index of the same network and images, whose network returns its softmax."""
    folder = index.path.parent
    model = f"planted_{request.param}"
    with indexer.open(build_planted(folder / "photos", folder / model, model=model, layers=("1", "5"))) as opened:
        yield opened


@pytest.mark.parametrize(("most", "target"), [(None, None), (None, "1"), (0.5, "1")])
def test_a_network_that_returns_its_softmax_is_fooled_as_the_same_without(
    index: Index, network: Network, ended: Index, most: float | None, target: str | None
) -> None:
    """By L2: with L-infinity, the sign of a slope decides that is 0 without the softmax, and nearly 0 with it."""
    preprocessing, other = index.manifest.configuration.preprocessing, ended.network()
    for record in index.find_images(limit=20).items[::5]:
        pixels = preprocessing.pixels(index.picture(record))
        logits = network.run(network.stacked([pixels]), lambda _, maps: maps.flatten(1).clone())["4"][0]
        if target is not None and int(logits.argmax()) == int(target):
            continue
        plain, found = (
            fool(one, of, pixels, most=most, target=target) for one, of in ((index, network), (ended, other))
        )
        assert found.answer_before.confidence == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
        for ours, theirs in ((found.answer_before, plain.answer_before), (found.answer_after, plain.answer_after)):
            assert ours.output == theirs.output
            assert ours.confidence == pytest.approx(theirs.confidence, rel=0.01)
        assert found.fooled == plain.fooled
        assert found.distance == pytest.approx(plain.distance, rel=0.02)


def test_noise_is_made_for_a_softmax_as_for_its_logits(index: Index, network: Network, ended: Index) -> None:
    for target in ("0", "1", "2"):
        plain = noise(index, network, target, steps=40, rate=0.2)
        found = noise(ended, ended.network(), target, steps=40, rate=0.2)
        assert found.answer.output == plain.answer.output
        assert found.answer.confidence == pytest.approx(plain.answer.confidence, rel=0.01)
        assert np.abs(found.pixels.astype(int) - plain.pixels).mean() < 1


def test_the_confidence_of_several_labels_is_a_sigmoid(index: Index, network: Network) -> None:
    telling = Telling(kind=MULTI_LABEL)
    folder = index.path.parent
    with indexer.open(build_planted(folder / "photos", folder / "labels", telling=telling)) as labels:
        pixels = labels.manifest.configuration.preprocessing.pixels(labels.picture(labels.image(0)))
        logits = network.run(network.stacked([pixels]), lambda _, maps: maps.flatten(1).clone())["4"][0]
        found = fool(labels, labels.network(), pixels).answer_before
    assert found.confidence == pytest.approx(float(logits.sigmoid()[found.output]), rel=1e-4)


def test_what_cannot_be_fooled_is_refused(index: Index, network: Network) -> None:
    pixels = network.noise(1)[0]
    with pytest.raises(InvalidRequest, match="norm must be one of l2, linf, not 'l1'"):
        fool(index, network, pixels, norm="l1")
    with pytest.raises(InvalidRequest, match="most must be above 0"):
        fool(index, network, pixels, most=0)
    with pytest.raises(NotFound, match="neither the number nor the name of an output"):
        fool(index, network, pixels, target="unicorn")
    answer = fool(index, network, pixels).answer_before
    with pytest.raises(InvalidRequest, match="already; name another target"):
        fool(index, network, pixels, target=str(answer.output))


def test_the_command_writes_what_the_library_makes(
    index: Index, network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = index.find_images(limit=1).items[0]
    out = tmp_path / "fooled.png"
    assert main(["make", "fool", str(index.path), record.path, "--norm", "linf", "--out", str(out)]) == 0
    pixels = index.manifest.configuration.preprocessing.pixels(index.picture(record))
    expected = fool(index, network, pixels, norm="linf")
    assert out.read_bytes() == expected.png()
    said = capsys.readouterr().out
    assert f"linf of the change: {expected.distance:.4g}, with 8 bits a colour {expected.distance_kept:.4g}; " in said
    assert f"1: {expected.turning[0].on} neurons turned on, {expected.turning[0].off} off" in said
    assert main(["make", "fool", str(index.path), "--noise", "--target", "1", "--out", str(out)]) == 0
    assert out.read_bytes() == noise(index, network, "1").png()


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "name one IMAGE, or --noise with a --target"),
    (("0", "--noise"), "name one IMAGE"),
    (("--noise",), "name one IMAGE"),
    (("0", "--out", "x.jpg"), "x.jpg must end in .png"),
    (("nowhere.png",), "nowhere.png is not an image's id"),
    (("0", "--out", "/nowhere/x.png"), "/nowhere/x.png cannot be written"),
])  # fmt: skip
def test_the_command_says_in_one_line_why_not(
    index: Index, arguments: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = () if "--out" in arguments else ("--out", str(tmp_path / "x.png"))
    assert main(["make", "fool", str(index.path), *arguments, *out]) == 1
    assert said in capsys.readouterr().err
