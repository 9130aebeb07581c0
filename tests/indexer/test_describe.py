"""Names by machine, beside a slow twin and on a network whose neurons are known."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.cli import main
from indexer.describe.describing import Description, describe, from_classes, held_out_auc
from indexer.describe.encoder import load_encoder
from indexer.describe.soft_wpmi import soft_wpmi
from indexer.errors import InvalidRequest, NotFound, NotInstalled, UserCodeFailed
from indexer.query.index import Index
from tests.colour_encoder import WORDS, Colours, Wrong
from tests.planted import build_planted, numbered, write_colours

LAYER = "1"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red, green and blue pictures; the first neurons of layer "1" are for one colour each."""
    folder = tmp_path_factory.mktemp("planted")
    return build_planted(write_colours(folder / "images", 5, numbered(30)), folder / "index")


@pytest.fixture
def index(planted: Path) -> Iterator[Index]:
    with indexer.open(planted) as index:
        yield index


def slow_soft_wpmi(similarities: np.ndarray, peaks: np.ndarray, examples: int) -> np.ndarray:
    """One neuron, concept and image after the other, with products in place of sums of logarithms."""
    images, concepts = similarities.shape
    neurons = peaks.shape[1]
    given = np.zeros((images, concepts))
    for x in range(images):
        total = sum(math.exp(10 * similarities[x, t]) for t in range(concepts))
        for t in range(concepts):
            given[x, t] = math.exp(10 * similarities[x, t]) / total
    joint = np.ones((neurons, concepts))
    full = []
    for k in range(neurons):
        ranking = sorted(range(images), key=lambda x: (-peaks[x, k], x))[:examples]
        own = [x for x in ranking if peaks[x, k] > 0]
        full.append(len(own) == min(examples, images))
        for t in range(concepts):
            for place, x in enumerate(own):
                member = 0.998 - place / min(examples, images) * (0.998 - 0.97)
                joint[k, t] *= 1 - member * (1 - given[x, t]) + 1e-7
    of_prior = [k for k in range(neurons) if full[k]] or list(range(neurons))
    scores = np.zeros((neurons, concepts))
    for k in range(neurons):
        for t in range(concepts):
            prior = sum(joint[other, t] for other in of_prior) / len(of_prior)
            scores[k, t] = math.log(joint[k, t]) - math.log(prior)
    return scores


@pytest.mark.parametrize(("seed", "examples", "below"), [(0, 8, 0.0), (1, 8, 0.7), (2, 50, 0.0), (3, 5, 2.0)])
def test_soft_wpmi_is_that_of_a_slow_twin(seed: int, examples: int, below: float) -> None:
    rng = np.random.default_rng(seed)
    similarities = rng.uniform(-1, 1, (20, 7))
    peaks = rng.uniform(-below, 1, (20, 6)).astype(np.float32)
    peaks[:, 5] = peaks[:, 4]  # ties between neurons
    peaks[3] = peaks[9]  # and between images
    fast = soft_wpmi(similarities.astype(np.float64), peaks, examples=examples)
    np.testing.assert_allclose(fast, slow_soft_wpmi(similarities, peaks, examples), rtol=1e-9, atol=1e-9)


def test_the_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        similarities = rng.integers(0, 5, 30) / 4
        fires = rng.random(30) < 0.3
        auc, at_least = held_out_auc(similarities, fires)
        if min(fires.sum(), (~fires).sum()) < 3:
            assert (auc, at_least) == (None, None)
            continue
        pairs = [(a > b) + (a == b) / 2 for a in similarities[fires] for b in similarities[~fires]]
        assert auc == pytest.approx(np.mean(pairs))
        assert at_least is not None
        assert at_least < np.mean(pairs)
    assert held_out_auc(np.arange(9.0), np.arange(9) > 6) == (None, None)


def test_neurons_for_a_colour_are_called_by_it(index: Index) -> None:
    found = describe(index, LAYER, Colours(), list(WORDS), template="the colour {}", best=3)
    assert (found.images + found.held_out, found.lost) == (90, [])
    first = {item.neuron: item for item in found.items if item.rank == 1}
    # What is true of them is read off the peaks: the mean colour of the images where each is highest.
    means = np.array([np.asarray(index.picture(index.image(i)), float).mean(axis=(0, 1)) for i in range(90)])
    peaks = index.layer(LAYER).peaks_by_image[:]
    told = 0
    for neuron, item in first.items():
        top = means[np.argsort(-peaks[:, neuron])[:15]].mean(axis=0)
        if np.sort(top)[-1] > 1.6 * np.sort(top)[-2]:
            told += 1
            assert item.name == ("red", "green", "blue")[int(top.argmax())]
            assert item.auc is None or item.auc > 0.8
    assert told >= 3
    ranks = [item.rank for item in found.items if item.neuron == next(iter(first))]
    assert ranks == [1, 2, 3]
    scores = [item.score for item in found.items if item.neuron == next(iter(first))]
    assert scores == sorted(scores, reverse=True)
    assert describe(index, LAYER, Colours(), list(WORDS), template="the colour {}", best=3) == found


def test_the_check_uses_other_images_than_the_score(index: Index) -> None:
    """An encoder that does not see the held-out half gives the same names, and fails the check."""
    digests = {index.images.sha256(row): row for row in range(90)}
    held_out = {row for sha256, row in digests.items() if int(sha256[:2], 16) % 2}
    order = iter(range(90))

    class Blind(Colours):
        def encode_images(self, images):
            vectors = super().encode_images(images)
            rows = [next(order) for _ in images]
            return np.array(
                [(1, 1, 1) if row in held_out else vector for row, vector in zip(rows, vectors, strict=True)]
            )

    seen, blind = (describe(index, LAYER, encoder, list(WORDS), best=1) for encoder in (Colours(), Blind()))
    assert (seen.images, seen.held_out) == (90 - len(held_out), len(held_out))
    assert [(item.neuron, item.name, item.score) for item in seen.items] == [
        (item.neuron, item.name, item.score) for item in blind.items
    ]
    assert {item.auc for item in blind.items} <= {None, 0.5}
    assert {item.auc for item in seen.items} - {None, 0.5}


def test_some_neurons_have_the_scores_that_they_have_among_all(index: Index) -> None:
    every = describe(index, LAYER, Colours(), list(WORDS)).items
    some = describe(index, LAYER, Colours(), list(WORDS), neurons=[0, 2]).items
    assert some == [item for item in every if item.neuron in (0, 2)]


def test_classes_and_categories_are_proposed_without_an_encoder(index: Index) -> None:
    about = index.layer(LAYER).selectivity
    expected = [
        Description(n, 1, index.classes[about.best[n]], "class", None, float(about.best_auc[n]), float(least))
        for n, least in enumerate(about.best_at_least)
        if about.best[n] >= 0 and least >= 0.8
    ]
    assert expected
    assert from_classes(index, LAYER).items == expected
    assert from_classes(index, LAYER, least=1).items == []


@pytest.mark.parametrize(
    ("concepts", "options", "said"),
    [
        (["red"], {}, "2 concepts or more"),
        (["red", "blue", "red"], {}, "'red' is there twice"),
        (["red", ""], {}, "1 to 200 characters"),
        (["red", "x" * 201], {}, "1 to 200 characters"),
        (["red", "blue"], {"template": "a photo"}, "must have {} in the concept's place"),
        (["red", "blue"], {"best": 0}, "best must be 1 or more"),
        (["red", "blue"], {"examples": 0}, "examples must be 1 or more"),
        (["red", "blue"], {"neurons": [999]}, "999"),
    ],
)
def test_what_is_wrong_is_said(index: Index, concepts: list[str], options: dict, said: str) -> None:
    with pytest.raises((InvalidRequest, NotFound), match=said):
        describe(index, LAYER, Colours(), concepts, **options)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("nan", "gave NaN, infinity or a vector of zeros"), ("zero", "a vector of zeros"), ("flat", "must be"),
        ("few", "must be"), ("wide", "gives texts 3 numbers and images 6"), ("raises", "KeyError"),
    ],
)  # fmt: skip
def test_an_encoder_that_errs_is_told_so(index: Index, fault: str, said: str) -> None:
    with pytest.raises((InvalidRequest, UserCodeFailed), match=said):
        describe(index, LAYER, Wrong(fault), ["red", "blue"])


def test_an_encoder_is_a_factory_of_ones_own() -> None:
    assert load_encoder("tests.colour_encoder:Colours").name == "colours"
    with pytest.raises(InvalidRequest, match="no encode_images and no encode_texts"):
        load_encoder("tests.colour_encoder:no_encoder")
    with pytest.raises(InvalidRequest, match="must be module:factory"):
        load_encoder("tests.colour_encoder:nothing")
    with pytest.raises((InvalidRequest, NotInstalled), match=r"where the weights are on this machine|needs"):
        load_encoder("indexer.describe.adapters:open_clip", {"model": "ViT-B-32"})
    with pytest.raises((InvalidRequest, NotInstalled), match=r"where the weights are on this machine|needs"):
        load_encoder("indexer.describe.adapters:transformers")


def test_the_command_writes_proposals(planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.txt").write_text("red\n\n blue \ngreen\n", "utf-8")
    asked = ["describe", str(planted), "--layer", LAYER, "--neurons", "0,1"]
    with_encoder = [*asked, "--encoder", "tests.colour_encoder:Colours", "--concepts", str(tmp_path / "words.txt")]
    assert main([*with_encoder, "--best", "2", "--out", str(tmp_path / "found.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    with indexer.open(planted) as index:
        found = describe(index, LAYER, Colours(), ["red", "blue", "green"], best=2, neurons=[0, 1])
        weights = index.manifest.configuration.weights_digest
    assert [(line["neuron"], line["rank"], line["name"], line["score"], line["auc"]) for line in lines] == [
        (item.neuron, item.rank, item.name, item.score, item.auc) for item in found.items
    ]
    assert {(line["weights_sha256"], line["layer"], line["encoder"]) for line in lines} == {(weights, LAYER, "colours")}
    capsys.readouterr()
    assert main(with_encoder) == 0
    assert capsys.readouterr().out.count(": proposed ") == 2 * 3
    assert main(asked) == 0
    assert "(a class, AUC " in capsys.readouterr().out
    for wrong in (
        [*with_encoder[:-2]], [*with_encoder[:-1], str(tmp_path / "none")],
        [*with_encoder, "--out", str(tmp_path / "found.jsonl")], [*with_encoder, "--encoder-args", "x"],
    ):  # fmt: skip
        assert main(wrong) == 1
        assert capsys.readouterr().err.strip().splitlines()[-1].startswith("unitscope: ")
