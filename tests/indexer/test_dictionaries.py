"""Dictionaries: planted directions are found, encoders equal numpy, and an encoded layer is a layer like any other."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.optimize import linear_sum_assignment, nnls
from sklearn.metrics import r2_score

import indexer
from indexer.cli import main
from indexer.dictionaries.autoencoder import Settings, learn_autoencoder
from indexer.dictionaries.factors import learn_kmeans, learn_nmf
from indexer.dictionaries.foreign import CONFIGURATION, WEIGHTS, read_foreign, write_saelens
from indexer.dictionaries.learn import Recipe, learn_dictionary
from indexer.dictionaries.metrics import measured, stability
from indexer.dictionaries.sample import take_sample
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add, build
from indexer.jobs.derived import dictionary as job
from indexer.jobs.derived.dictionary import learn_into
from indexer.jobs.info import describe
from indexer.jobs.layers import drop_layers
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.network.encoding.encoders import Encoder, KMeansEncoder, NMFEncoder, SparseAutoencoder
from indexer.network.encoding.files import Dictionary, read_dictionary, write_dictionary
from indexer.query.index import Index
from tests import reference
from tests.conftest import build_request, write_photos
from tests.indexer.test_jobs import TINY, answers
from tests.marks import seeds

LAYER = "1"
QUICK = {"sae": {"k": 3, "steps": 40}, "kmeans": {}, "nmf": {}}
METHODS = list(QUICK)


def planted(seed: int, negative: bool) -> tuple[np.ndarray, np.ndarray]:
    """Directions (32, 64), and vectors that are sums of three of them, with noise of 1 %."""
    chance = np.random.default_rng(seed)
    directions = chance.normal(size=(32, 64))
    directions = directions if negative else np.maximum(directions, 0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weights = np.zeros((6000, 32))
    for row in weights:
        row[chance.choice(32, 3, replace=False)] = chance.uniform(0.5, 1.5, 3)
    vectors = weights @ directions
    vectors += 0.01 * vectors.std() * chance.normal(size=vectors.shape)
    return directions, (vectors if negative else np.maximum(vectors, 0)).astype(np.float32)


def cosine_to(directions: np.ndarray, encoder: Encoder) -> float:
    atoms = encoder.atoms.numpy() / np.linalg.norm(encoder.atoms.numpy(), axis=1, keepdims=True)
    cosines = atoms @ directions.T
    return float(cosines[linear_sum_assignment(-cosines)].mean())


@pytest.mark.parametrize("seed", seeds(5))
@pytest.mark.parametrize("negative", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_autoencoder_finds_planted_directions(seed: int, negative: bool) -> None:
    directions, vectors = planted(seed, negative)
    encoder = learn_autoencoder(vectors[:5500], 32, seed, Settings(k=3, steps=1500 if negative else 600, rate=5e-3))
    assert cosine_to(directions, encoder) >= 0.95
    metrics = measured(encoder, vectors[5500:])
    assert metrics["r2"] > 0.95
    assert metrics["l0"] == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize("seed", seeds(5))
def test_nmf_finds_planted_directions(seed: int) -> None:
    directions, vectors = planted(seed, negative=False)
    encoder = learn_nmf(vectors[:3000], 32, seed)
    assert cosine_to(directions, encoder) >= 0.95
    again = learn_nmf(vectors[3000:], 32, seed + 1)
    assert stability(encoder, again) == pytest.approx(cosine_to(_unit(again.atoms.numpy()), encoder), abs=1e-6)
    with pytest.raises(InvalidRequest, match="without negative activations"):
        learn_nmf(-vectors[:100], 2, seed)


def test_kmeans_finds_planted_centres() -> None:
    chance = np.random.default_rng(0)
    centres = 10 * np.abs(chance.normal(size=(6, 9)))
    vectors = (centres[chance.integers(0, 6, 2000)] + 0.1 * chance.normal(size=(2000, 9))).astype(np.float32)
    encoder = learn_kmeans(vectors, 6, 0)
    assert cosine_to(_unit(centres), encoder) > 0.999


def _unit(directions: np.ndarray) -> np.ndarray:
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


# -- encoders against numpy --------------------------------------------------------------------------------------------


def encoders(chance: np.random.Generator, dimensions: int = 7, atoms: int = 5) -> dict[str, Encoder]:
    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(chance.normal(size=shape).astype(np.float32))

    weights = (normal(dimensions, atoms), normal(atoms), normal(atoms, dimensions), normal(dimensions))
    return {
        "kmeans": KMeansEncoder(normal(atoms, dimensions)),
        "nmf": NMFEncoder(normal(atoms, dimensions).abs()),
        "relu": SparseAutoencoder(*weights),
        "threshold": SparseAutoencoder(*weights, threshold=normal(atoms).abs()),
        "topk": SparseAutoencoder(*weights, k=2, centred=False),
    }


def codes_by_hand(kind: str, encoder: Encoder, vector: np.ndarray) -> np.ndarray:
    vector = vector.astype(np.float64)
    if kind == "kmeans":
        centroids = encoder.centroids.double().numpy()
        own = np.argmin([np.linalg.norm(vector - centroid) for centroid in centroids])
        along = vector @ centroids[own] / np.linalg.norm(centroids[own])
        return np.where(np.arange(len(centroids)) == own, max(0, along), 0)
    if kind == "nmf":
        return nnls(encoder.atoms.double().numpy().T, vector)[0]
    given = vector - encoder.offset.double().numpy() * encoder.centred
    codes = np.maximum(given @ encoder.encoder.double().numpy() + encoder.encoder_bias.double().numpy(), 0)
    if kind == "threshold":
        codes = np.where(codes > encoder.threshold.double().numpy(), codes, 0)
    if kind == "topk":
        codes = np.where(codes >= np.sort(codes)[-2], codes, 0)
    return codes


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize("kind", ["kmeans", "nmf", "relu", "threshold", "topk"])
def test_codes_are_those_by_hand(kind: str, seed: int) -> None:
    chance = np.random.default_rng(seed)
    encoder = encoders(chance)[kind]
    maps = np.abs(chance.normal(size=(2, 7, 3, 4))).astype(np.float16).astype(np.float32)
    found = encoder(torch.from_numpy(maps)).numpy()
    assert found.shape == (2, 5, 3, 4)
    for image in range(2):
        for y in range(3):
            for x in range(4):
                expected = codes_by_hand(kind, encoder, maps[image, :, y, x])
                np.testing.assert_allclose(found[image, :, y, x], expected, rtol=2e-3, atol=2e-3)
    np.testing.assert_array_equal(encoder(torch.from_numpy(maps[1:])).numpy(), found[1:])
    vectors = maps.transpose(0, 2, 3, 1).reshape(-1, 7)
    decoded = encoder.decode(encoder.codes(torch.from_numpy(vectors).double())).numpy()
    expected = r2_score(vectors, decoded, multioutput="variance_weighted")
    assert measured(encoder, vectors)["r2"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["kmeans", "nmf", "relu", "threshold", "topk"])
def test_files_keep_a_dictionary(kind: str, tmp_path: Path) -> None:
    encoder = encoders(np.random.default_rng(1))[kind]
    write_dictionary(tmp_path / "one", Dictionary(encoder, {"layer": "0", "metrics": {"r2": 0.5}}))
    read = read_dictionary(tmp_path / "one", "one")
    vectors = torch.rand(9, 7, dtype=torch.float64)
    assert torch.equal(read.encoder.codes(vectors), encoder.codes(vectors))
    assert read.recipe == {"layer": "0", "metrics": {"r2": 0.5}}
    whole = (tmp_path / "one").read_bytes()
    for cut in (0, 7, 100, len(whole) - 4):
        (tmp_path / "one").write_bytes(whole[:cut])
        with pytest.raises(DamagedFile):
            read_dictionary(tmp_path / "one", "one")


# -- as a layer of an index --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=5, count=12)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    path = tmp_path_factory.mktemp("plain") / "index"
    build(path, build_request(photos, **TINY | {"shard_size": 5, "batch_size": 2}))
    return path


@pytest.fixture
def index(tmp_path: Path, plain: Path) -> Path:
    return shutil.copytree(plain, tmp_path / "index")


def recipe(kind: str, **changes: object) -> Recipe:
    settings = {"layer": LAYER, "method": kind, "components": 6, "cells": 500, **QUICK[kind], **changes}
    return Recipe(**settings)


@pytest.mark.parametrize("method", METHODS)
def test_an_encoded_layer_is_what_the_dictionary_makes_of_the_maps(index: Path, photos: Path, method: str) -> None:
    before = answers(index)
    learn_into(index, "few", recipe(method))
    name = f"{LAYER}~few"
    with indexer.open(index) as opened:
        info = opened.layer(name).info
        file = info.dictionary.file
        encoder = read_dictionary(index / file, file).encoder
        for record in opened.find_images(limit=20).items:
            maps = opened.activation_maps(record.id, LAYER)
            expected = encoder(torch.from_numpy(maps[None]))[0].numpy().astype(np.float16)
            np.testing.assert_array_equal(opened.activation_maps(record.id, name), expected)
            assert opened.box(record, name, 1, 2) == opened.box(record, LAYER, 1, 2)
        peaks = np.stack(
            [opened.activation_maps(r.id, name).max(axis=(1, 2)) for r in opened.find_images(limit=20).items]
        )
        for atom in range(6):
            top = opened.top_patches(name, atom, limit=5).items
            order = np.argsort(-peaks[:, atom], kind="stable")[:5]
            np.testing.assert_allclose([hit.activation for hit in top], peaks[order, atom], rtol=1e-3)
        network = opened.network()
        picture = opened.picture(opened.image(3))
        np.testing.assert_array_equal(
            network.maps([picture])[name][0].astype(np.float16), opened.activation_maps(3, name)
        )
    after = answers(index)
    assert {key: value for key, value in after.items() if key in before and key != "firing"} == {
        key: value for key, value in before.items() if key != "firing"
    }
    assert verify(index) == []


def test_who_may_read_an_index_may_read_its_dictionaries(index: Path) -> None:
    """A service in a container is often another user."""
    learn_into(index, "few", recipe("kmeans"))
    write_saelens(index / "theirs", encoders(np.random.default_rng(0))["relu"], LAYER)
    modes = {path.stat().st_mode & 0o777 for path in index.rglob("*") if path.is_file()}
    assert modes == {(index / "manifest.json").stat().st_mode & 0o777}


def test_the_same_seed_gives_the_same_files(index: Path, plain: Path, tmp_path: Path) -> None:
    other = shutil.copytree(plain, tmp_path / "other")
    for each in (index, other):
        learn_into(each, "few", recipe("sae"))
    ours, theirs = (read_manifest(each) for each in (index, other))
    assert ours.shards == theirs.shards
    assert ours.configuration.dictionaries == theirs.configuration.dictionaries
    with Index(index) as opened:
        different = learn_dictionary(opened, recipe("sae", seed=1)).encoder
    (file,) = ours.configuration.dictionaries
    assert not torch.equal(different.atoms, read_dictionary(index / file, file).encoder.atoms)


def test_it_goes_through_the_life_of_an_index(index: Path, photos: Path, tmp_path: Path) -> None:
    own = shutil.copytree(photos, tmp_path / "own")
    ours = tmp_path / "ours"
    build(ours, build_request(own, **TINY | {"shard_size": 5, "batch_size": 2}))
    learn_into(ours, "few", recipe("nmf"))
    write_photos(own / "more", seed=6, count=4)
    add(ours)
    remove(ours, ids=[1, 14])
    check_encoded(ours, 14)
    compact(ours)
    check_encoded(ours, 14)
    first = read_manifest(ours).shards[1].file
    (ours / first).write_bytes(b"")
    repair(ours)
    check_encoded(ours, 14)
    drop_layers(ours, [f"{LAYER}~few"])
    compact(ours)
    assert not any((ours / "dictionaries").iterdir())
    with indexer.open(ours) as opened:
        assert list(opened.layers) == ["0", "1", "5"]


def check_encoded(path: Path, images: int) -> None:
    with indexer.open(path) as opened:
        name = f"{LAYER}~few"
        file = opened.layer(name).info.dictionary.file
        encoder = read_dictionary(path / file, file).encoder
        records = opened.find_images(limit=100).items
        assert len(records) == images
        for record in records:
            maps = torch.from_numpy(opened.activation_maps(record.id, LAYER)[None])
            np.testing.assert_array_equal(
                opened.activation_maps(record.id, name), encoder(maps)[0].numpy().astype(np.float16)
            )
    assert verify(path) == []


def test_the_layer_that_is_encoded_may_be_dropped(index: Path) -> None:
    learn_into(index, "few", recipe("nmf"))
    with indexer.open(index) as opened:
        kept = opened.activation_maps(2, f"{LAYER}~few")
    drop_layers(index, [LAYER])
    with indexer.open(index) as opened:
        found = opened.network().maps([opened.picture(opened.image(2))])
        assert set(found) == {"0", "5", f"{LAYER}~few"}
        np.testing.assert_array_equal(found[f"{LAYER}~few"][0].astype(np.float16), kept)


def test_an_interrupted_run_is_taken_up_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = answers(index)

    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "derive_and_publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn_into(index, "few", recipe("sae"))
    assert answers(index) == before
    made = {path.name: path.stat().st_ino for path in (index / "shards").iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(job, "learn_dictionary", interrupted)  # it is learned already
        learn_into(index, "few", recipe("sae"))
    assert {path.name: path.stat().st_ino for path in (index / "shards").iterdir()} == made
    check_encoded(index, 12)


def test_a_dictionary_that_is_not_the_listed_one_is_refused(index: Path) -> None:
    learn_into(index, "few", recipe("kmeans"))
    (file,) = read_manifest(index).configuration.dictionaries
    write_dictionary(index / file, Dictionary(encoders(np.random.default_rng(0))["kmeans"]))
    assert [fault.file for fault in verify(index)] == [file]
    with (
        indexer.open(index) as opened,
        pytest.raises(DamagedFile, match="is not the dictionary that the manifest lists"),
    ):
        opened.network()


def test_samples_are_of_other_images(index: Path) -> None:
    with Index(index) as opened:
        sample = take_sample(opened, LAYER, 60, seed=4)
        cells = {
            tuple(vector): record.id
            for record in opened.find_images(limit=20).items
            for vector in np.moveaxis(opened.activation_maps(record.id, LAYER), 0, 2).reshape(
                -1, sample.learned.shape[1]
            )
        }
    learned, held_out = ({cells[tuple(v)] for v in vectors} for vectors in (sample.learned, sample.held_out))
    assert len(learned) == 11
    assert len(held_out) == 1
    assert not learned & held_out


@pytest.mark.parametrize("cells", [1, 5, 10, 11, 12, 13, 21, 22, 60, 100, 10**6])
def test_no_more_is_learned_from_than_was_asked_for(index: Path, cells: int) -> None:
    with Index(index) as opened:
        there = opened.layer(LAYER).info.cells
        sample = take_sample(opened, LAYER, cells, seed=2)
    learned, held_out = len(sample.learned), len(sample.held_out)
    assert 1 <= learned <= cells
    assert learned == min(cells, 11 * held_out)
    assert held_out <= there
    assert cells < 11 * there or learned == 11 * there


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (9, 1), (1, 9)])
@pytest.mark.parametrize("seed", seeds(2))
def test_nmf_may_have_more_components_than_channels(shape: tuple[int, int], seed: int) -> None:
    vectors = np.random.default_rng(seed).random(shape).astype(np.float32)
    for components in (1, shape[1], shape[1] + 1, shape[0]):
        encoder, again = (learn_nmf(vectors, components, seed) for _ in range(2))
        assert encoder.atoms.shape == (components, shape[1])
        assert torch.equal(encoder.atoms, again.atoms)
        assert bool((encoder.atoms >= 0).all())
        exact = components >= min(shape)
        assert not exact or measured(encoder, vectors)["r2"] > 0.98 or shape[0] == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_dictionary_may_have_as_many_atoms_as_vectors(index: Path, method: str) -> None:
    changes = {"components": 11, "cells": 11, "k": 2} if method == "sae" else {"components": 11, "cells": 11}
    learn_into(index, "few", recipe(method, **changes))
    with indexer.open(index) as opened:
        assert opened.layer(f"{LAYER}~few").info.channels == 11
    with pytest.raises(InvalidRequest, match="12 components need at least as many vectors, and 11 were taken"):
        learn_into(index, "more", recipe(method, **changes | {"components": 12}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "9"}, "no layer '9'"),
        ({"components": 0}, "components must be 1 to"),
        ({"components": 5000}, "need at least as many vectors"),
        ({"k": 9}, "k must be 1 to the number of components"),
        ({"steps": 0}, "must be positive"),
        ({"method": "pca"}, "method must be one of kmeans, nmf, sae"),
        ({"layer": "1~few"}, "is encoded already"),
    ],
)
def test_what_cannot_be_learned_is_a_line(index: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises((InvalidRequest, NotFound), match=message):
        learn_into(index, "few", recipe("sae", **changes))


# -- those of others ---------------------------------------------------------------------------------------------------


AUTOENCODERS = ["relu", "threshold", "topk"]


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_saelens_folders_come_back(kind: str, seed: int, tmp_path: Path) -> None:
    encoder = encoders(np.random.default_rng(seed))[kind]
    write_saelens(tmp_path / "sae", encoder, "features.12")
    tensors = {"W_enc", "b_enc", "W_dec", "b_dec"} | (set() if kind == "topk" else {"threshold"})
    assert load_file(tmp_path / "sae" / WEIGHTS).keys() == tensors
    vectors = torch.randn(40, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    codes = read_foreign(tmp_path / "sae").encoder.codes(vectors)
    for vector, found in zip(vectors.numpy(), codes.numpy(), strict=True):
        np.testing.assert_allclose(found, codes_by_hand(kind, encoder, vector), rtol=1e-12)
    assert torch.equal(codes, encoder.codes(vectors))


def test_what_saelens_cannot_hold_is_not_written(tmp_path: Path) -> None:
    tensors = encoders(np.random.default_rng(0))["threshold"].tensors
    with pytest.raises(InvalidRequest, match="both k and a threshold"):
        write_saelens(tmp_path / "sae", SparseAutoencoder(**tensors, k=2), "x")


def of_version_5(folder: Path, tensors: dict[str, torch.Tensor], **changes: object) -> None:
    """As SAELens 3 to 5 write a folder (`SAE.save_model`)."""
    save_file(tensors, folder / WEIGHTS)
    settings = {
        "architecture": "standard", "d_in": 7, "d_sae": 5, "dtype": "float32", "device": "cpu", "model_name": "x",
        "hook_name": "x", "hook_layer": 0, "hook_head_index": None, "activation_fn_str": "relu",
        "activation_fn_kwargs": {}, "apply_b_dec_to_input": True, "finetuning_scaling_factor": False,
        "sae_lens_training_version": "3.20.0", "prepend_bos": True, "dataset_path": "", "context_size": 256,
        "normalize_activations": "none", "neuronpedia_id": None, "model_from_pretrained_kwargs": {},
    }  # fmt: skip
    settings |= changes
    (folder / CONFIGURATION).write_text(json.dumps({k: v for k, v in settings.items() if v != "absent"}))


def of_version_5_tensors(seed: int) -> dict[str, torch.Tensor]:
    tensors = encoders(np.random.default_rng(seed))["relu"].tensors
    theirs = {"W_enc": "encoder", "b_enc": "encoder_bias", "W_dec": "decoder", "b_dec": "decoder_bias"}
    return {name: tensors[ours].float() for name, ours in theirs.items()}


TOPK = {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}


@pytest.mark.parametrize(
    ("changes", "k"),
    [
        ({}, None),
        ({"activation_fn_kwargs": None, "normalize_activations": False}, None),
        ({"activation_fn_str": "absent", "activation_fn_kwargs": "absent"}, None),
        (TOPK, 3),
        (TOPK | {"architecture": "topk"}, 3),
        (TOPK | {"architecture": "absent", "activation_fn_str": "absent", "activation_fn": "topk"}, 3),
        ({"architecture": "topk", "activation_fn_kwargs": {"k": 2}}, 2),
        ({"architecture": "topk", "activation_fn_str": "absent", "activation_fn_kwargs": {"k": 2}}, 2),
        ({"architecture": "topk", "k": 2, "activation_fn_kwargs": {"k": 2}}, 2),
        ({"architecture": "topk", "k": 4, "activation_fn_kwargs": "absent"}, 4),
    ],
)
def test_activations_of_older_saelens_are_computed(changes: dict[str, object], k: int | None, tmp_path: Path) -> None:
    tensors = of_version_5_tensors(3)
    of_version_5(tmp_path, tensors, **changes)
    vectors = torch.randn(40, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    read = read_foreign(tmp_path).encoder
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    before = (vectors - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
    best = before.topk(k or 5)
    expected = torch.zeros_like(before).scatter(1, best.indices, best.values.relu())
    torch.testing.assert_close(read.codes(vectors), expected)
    torch.testing.assert_close(read.decode(expected), expected @ tensors["W_dec"] + tensors["b_dec"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalize_activations": "layer_norm"}, "normalize_activations is 'layer_norm', which is not supported"),
        ({"architecture": "gated"}, "the architecture 'gated' is not supported"),
        ({"architecture": ["topk"]}, "the architecture .* is not supported"),
        ({"hook_point_head_index": 3}, "hook_point_head_index is 3, which is not supported"),
        ({"finetuning_scaling_factor": True}, "finetuning_scaling_factor is True, which is not supported"),
        ({"activation_fn_str": "tanh-relu"}, "activation_fn_str is 'tanh-relu', which is not supported"),
        ({"activation_fn": "gelu"}, "activation_fn is 'gelu', which is not supported"),
        ({"activation_fn_kwargs": {"k": 3}}, "activation_fn_kwargs is .*, and only the activation topk has any"),
        (TOPK | {"activation_fn": "relu"}, "topk beside another one is not supported"),
        (TOPK | {"architecture": "jumprelu"}, "topk beside another one is not supported"),
        (TOPK | {"activation_fn_kwargs": {"k": 3, "postact_fn": "abs"}}, "only k is supported in it"),
        (TOPK | {"activation_fn_kwargs": [3]}, "only k is supported in it"),
        (TOPK | {"activation_fn_kwargs": {}}, "a topk needs k"),
        ({"architecture": "topk"}, "a topk needs k"),
        (TOPK | {"k": 2}, "k must be one whole number, and it is 3 in activation_fn_kwargs"),
        ({"architecture": "topk", "k": "3"}, "k must be one whole number, and it is '3'"),
        ({"architecture": "topk", "k": 99}, "k is 99, of 5 atoms"),
        ({"architecture": "topk", "k": 0}, "k is 0, of 5 atoms"),
    ],
)
def test_settings_of_saelens_that_are_not_supported_are_named(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    of_version_5(tmp_path, of_version_5_tensors(2), **changes)
    with pytest.raises(InvalidRequest, match=message):
        read_foreign(tmp_path)


@pytest.mark.parametrize("name", ["finetuning_scaling_factor", "scaling_factor"])
def test_scales_of_older_saelens_must_be_1(name: str, tmp_path: Path) -> None:
    """Some versions wrote them into every file, whether they were used or not."""
    of_version_5(tmp_path, of_version_5_tensors(2) | {name: torch.ones(5)})
    read_foreign(tmp_path)
    of_version_5(tmp_path, of_version_5_tensors(2) | {name: torch.full((5,), 1.5)})
    with pytest.raises(InvalidRequest, match=f"a {name} other than 1"):
        read_foreign(tmp_path)


def test_codes_of_saelens_that_are_scaled_by_the_lengths_of_atoms(tmp_path: Path) -> None:
    """Its top k: codes times the lengths of the atoms are chosen from, and divided by them in the decoder."""
    encoder = encoders(np.random.default_rng(2))["relu"]
    write_saelens(tmp_path, encoder, "x")
    settings = json.loads((tmp_path / CONFIGURATION).read_text())
    settings |= {"architecture": "topk", "k": 2, "rescale_acts_by_decoder_norm": True}
    (tmp_path / CONFIGURATION).write_text(json.dumps(settings))
    tensors = load_file(tmp_path / WEIGHTS)
    tensors["W_dec"] *= torch.tensor([0.1, 3.0, 1.0, 0.0, 7.0])[:, None]
    save_file(tensors, tmp_path / WEIGHTS)
    vectors = torch.rand(40, 7, dtype=torch.float64)
    tensors = {name: tensor.double() for name, tensor in tensors.items()}
    length = tensors["W_dec"].norm(dim=1)
    inside = vectors - tensors["b_dec"] if encoder.centred else vectors
    before = (inside @ tensors["W_enc"] + tensors["b_enc"]) * length
    best = before.topk(2)
    expected = torch.zeros_like(before).scatter(1, best.indices, best.values.relu())
    read = read_foreign(tmp_path).encoder
    torch.testing.assert_close(read.codes(vectors).double(), expected, rtol=1e-5, atol=1e-5)
    decoded = expected / length.where(length > 0, 1.0) @ tensors["W_dec"] + tensors["b_dec"]
    torch.testing.assert_close(read.decode(expected).double(), decoded, rtol=1e-5, atol=1e-5)


def test_plain_files_are_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "d.safetensors"
    save_file({"centroids": torch.rand(4, 7)}, file)
    assert isinstance(read_foreign(file).encoder, KMeansEncoder)
    for tensors, message in (
        ({"components": -torch.ones(2, 7)}, "must not be negative"),
        ({"weights": torch.ones(2, 7)}, "holds weights; a dictionary has centroids"),
        ({"centroids": torch.full((2, 7), torch.nan)}, "not finite"),
    ):
        save_file(tensors, file)
        with pytest.raises(InvalidRequest, match=message):
            read_foreign(file)
    with pytest.raises(InvalidRequest, match="neither a folder of SAELens"):
        read_foreign(tmp_path / "d.pt")


def test_commands(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"centroids": torch.rand(4, 3)}, tmp_path / "d.safetensors")
    arguments = ["dictionary", str(index), "--layer", LAYER, "--name"]
    assert main([*arguments, "few", "--method", "nmf", "--components", "3", "--cells", "200"]) == 0
    assert main([*arguments, "theirs", "--from", str(tmp_path / "d.safetensors")]) == 1
    assert "vectors of 3 activations, and layer 1 has" in capsys.readouterr().err
    told = {layer["name"]: layer["dictionary"] for layer in describe(index)["layers"]}
    assert told[LAYER] is None
    assert told[f"{LAYER}~few"]["components"] == 3
    sheet = tmp_path / "sheet.png"
    assert main(["sheet", str(index), "--layer", f"{LAYER}~few", "--neurons", "0,1", "--out", str(sheet)]) == 0
    with Image.open(sheet) as drawn:
        assert drawn.width > 100


def test_questions_on_atoms_equal_brute_force(index: Path) -> None:
    learn_into(index, "few", recipe("nmf"))
    with indexer.open(index) as opened:
        name = f"{LAYER}~few"
        maps = np.stack([opened.activation_maps(record.id, name) for record in opened.find_images(limit=20).items])
        cosines = reference.cosines(maps, maps[4, :, 2, 3])
        hits = opened.similar(name, 4, 2, 3, limit=5, per_image="all", exact=True).items
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(cosines.ravel())[::-1][:5], rtol=1e-4)


@pytest.mark.parametrize("seed", seeds(3))
def test_weights_of_components_of_any_length_are_the_best(seed: int) -> None:
    """Lengths from 0.01 to 100, where plain gradient steps would be far from the end."""
    chance = np.random.default_rng(seed)
    components = np.maximum(chance.normal(size=(12, 30)), 0) * 10.0 ** chance.uniform(-2, 2, (12, 1))
    vectors = np.maximum(chance.random((40, 12)) - 0.6, 0) @ (components / np.linalg.norm(components, axis=1)[:, None])
    encoder = NMFEncoder(torch.from_numpy(components))
    found = encoder.codes(torch.from_numpy(vectors)).numpy()
    for vector, weights in zip(vectors, found, strict=True):
        _, left = nnls(components.T, vector)
        assert np.linalg.norm(weights @ components - vector) <= left + 1e-4 * np.linalg.norm(vector)
