"""Scores in the vectors of an encoder: against patches cut out by hand, and what the index keeps of them."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.cli import main
from indexer.derive.scores.file import Scores
from indexer.derive.unit import unit
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.exports.coco import export_patches
from indexer.index.manifest import read_manifest
from indexer.index.score_recipe import EncoderRecipe
from indexer.jobs.build import add
from indexer.jobs.derived.encoder_scores import keep_encoder_scores, make_encoder_scores
from indexer.jobs.derived.scores import work_out_scores
from indexer.jobs.layers import drop_layers
from indexer.jobs.packing.pack import pack
from indexer.jobs.packing.unpack import unpack
from indexer.jobs.space import bytes_by_kind
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.query.atlases.neuron_atlas import neuron_atlas
from indexer.query.index import Index
from indexer.query.learning.groups import groups
from tests.colour_encoder import Colours, Wrong
from tests.conftest import moved_index, random_photo

LAYER, BY, PATCHES = "features.7", "features.12", 7
ENCODER = ["--encoder", "tests.colour_encoder:Colours", "--patches", str(PATCHES)]


@pytest.fixture(scope="module")
def scored(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = Path(shutil.copytree(small_index, tmp_path_factory.mktemp("encoder scores") / "own"))
    assert main(["scores", str(own), "--layer", LAYER, *ENCODER]) == 0
    return own


@pytest.fixture
def own(scored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scored, tmp_path / "own"))


def vectors_by_hand(index: Index, neuron: int) -> np.ndarray:
    """Mean colours of a neuron's top patches, cut out one by one."""
    pictures = [
        index.picture(patch.image).crop((patch.box.left, patch.box.top, patch.box.right, patch.box.bottom))
        for patch in index.top_patches(LAYER, neuron, limit=PATCHES, min=1e-30).items
    ]
    return unit(Colours().encode_images(pictures)) if pictures else np.empty((0, 3))


def test_scores_are_those_of_patches_cut_out_by_hand(scored: Path) -> None:
    with indexer.open(scored) as index:
        scores = index.layer(LAYER).scored()
        vectors = [vectors_by_hand(index, neuron) for neuron in range(index.layer(LAYER).info.channels)]
    means = [own.mean(axis=0) for own in vectors if len(own)]
    alive = [neuron for neuron, own in enumerate(vectors) if len(own)]
    for neuron, own in enumerate(vectors):
        if len(own) < 2:
            assert np.isnan(scores.clarity[neuron])
            continue
        expected = np.mean([a @ b for a, b in combinations(own, 2)])
        assert scores.clarity[neuron] == pytest.approx(expected, abs=1e-5)
        found = scores.groups[neuron, : len(own)]
        if min(np.bincount(found, minlength=2)) >= 2:
            first, second = (unit(own[found == group].mean(axis=0)) for group in (0, 1))
            assert scores.polysemanticity[neuron] == pytest.approx(1 - first @ second, abs=1e-5)
    cosines = unit(np.array(means)) @ unit(np.array(means)).T
    np.fill_diagonal(cosines, -1)
    np.testing.assert_allclose(scores.redundancy[alive], cosines.max(axis=1), atol=1e-5)
    assert isinstance(scores.recipe, EncoderRecipe)
    assert (scores.recipe.name, scores.recipe.digest, scores.recipe.generation) == ("colours", "0" * 64, 1)


def test_groups_are_of_the_patches_that_were_compared(scored: Path) -> None:
    with indexer.open(scored) as index:
        scores = index.layer(LAYER).scored()
        neuron = int(np.nanargmax(scores.polysemanticity))
        top = index.top_patches(LAYER, neuron, limit=PATCHES, min=1e-30).items
        numbers = scores.groups[neuron, : len(top)].tolist()
        for number, group in enumerate(groups(index, LAYER, neuron)):
            assert group.patches == [patch for patch, own in zip(top, numbers, strict=True) if own == number]


def test_they_take_the_place_of_others_and_give_way(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work_out_scores(own, LAYER, BY, patches=5)
    with indexer.open(own) as index:
        assert index.layer(LAYER).scored().recipe.words == BY
    capsys.readouterr()
    assert main(["scores", str(own), "--layer", LAYER, *ENCODER]) == 0
    assert f"{LAYER} by the encoder colours (00000000): clarity" in capsys.readouterr().out
    assert main(["neurons", str(own), "--layer", LAYER, "--sort", "clarity", "--descending", "--limit", "1"]) == 0
    assert "scores by the encoder colours (00000000), of 7 top patches each" in capsys.readouterr().err
    with indexer.open(own) as index:
        assert index.layer(LAYER).scored().recipe.words == "the encoder colours (00000000)"
    assert verify(own) == []


def test_removed_images_are_in_no_group_and_compact_forgets_them(own: Path) -> None:
    with indexer.open(own) as index:
        scores = index.layer(LAYER).scored()
        neuron = int(np.nanargmax(scores.clarity))
        gone = scores.images[neuron, :2].tolist()
    remove(own, ids=gone)
    with indexer.open(own) as index:
        left = [patch.image.id for group in groups(index, LAYER, neuron) for patch in group.patches]
        assert left
        assert not set(left) & set(gone)
        kept = index.layer(LAYER).scored()
        np.testing.assert_array_equal(kept.clarity, scores.clarity)
        assert (kept.recipe.images, kept.recipe.generation) == (len(index.images) + 2, 1)
    compact(own)
    with indexer.open(own) as index:
        assert not np.isin(index.layer(LAYER).scored().images, gone).any()
    assert verify(own) == []
    assert len(list((own / "encoder-scores").iterdir())) == 1


def test_packs_and_exports_hold_them(own: Path, tmp_path: Path) -> None:
    pack(own, tmp_path / "packed.tar")
    unpack(tmp_path / "packed.tar", tmp_path / "again")
    with indexer.open(own) as index, indexer.open(tmp_path / "again") as again:
        np.testing.assert_array_equal(index.layer(LAYER).scored().clarity, again.layer(LAYER).scored().clarity)
        export_patches(index, LAYER, [3], tmp_path / "coco", top=2)
        assert bytes_by_kind(own, index.manifest)["scores"] > 0
    info = json.loads((tmp_path / "coco" / "labels.json").read_text())["info"]
    assert info["scores"]["by"] == "the encoder colours (00000000)"


def test_lost_originals_are_left_out_and_counted(own: Path, tmp_path: Path) -> None:
    with indexer.open(own, tmp_path) as index:
        scores = make_encoder_scores(index, LAYER, Colours(), patches=3)
        peaks = np.sort(index.layer(LAYER).peaks, axis=1)[:, -3:]
    assert np.isnan(scores.clarity).all()
    assert np.isnan(scores.between)
    assert scores.recipe.lost == (peaks > 0).sum()


def test_a_damaged_file_is_found_refused_and_left_out(own: Path) -> None:
    (file,) = (own / "encoder-scores").iterdir()
    with indexer.open(own) as index:
        layer, scores = index.layer(LAYER).info, index.layer(LAYER).scored()
    file.write_bytes(file.read_bytes()[:-3000])
    assert [fault.file for fault in verify(own)] == [f"encoder-scores/{file.name}"]
    with pytest.raises(DamagedFile, match="encoder-scores"):
        indexer.open(own)
    repair(own)
    with indexer.open(own) as index, pytest.raises(NotFound, match=r"has no scores yet; .* --encoder MODULE:FACTORY"):
        index.layer(LAYER).scored()
    assert isinstance(scores, Scores)
    keep_encoder_scores(own, layer, scores)
    assert verify(own) == []


@pytest.mark.parametrize(
    ("encoder", "patches", "message"),
    [
        (Colours(), 1, "patches must be 2 to 200, not 1"),
        (Wrong("nan"), 3, "encode_images of the encoder colours gave NaN"),
        (Wrong("raises"), 3, "encode_images of the encoder colours"),
    ],
)
def test_faults_are_said(small_index: Path, encoder: Colours, patches: int, message: str) -> None:
    with indexer.open(small_index) as index, pytest.raises(InvalidRequest, match=message):
        make_encoder_scores(index, LAYER, encoder, patches=patches)


def test_they_and_an_atlas_of_neurons_outlive_new_images_and_dropped_layers(
    own: Path, photo_folder: Path, tmp_path: Path
) -> None:
    images = Path(shutil.copytree(photo_folder, tmp_path / "images"))
    index = moved_index(own, images, tmp_path / "moved")
    assert main(["neuron-atlas", str(index), "--layer", LAYER, "--perplexity", "8"]) == 0
    with indexer.open(index) as opened:
        scores, atlas = opened.layer(LAYER).scored(), neuron_atlas(opened, LAYER)
        known = len(opened.images)
    random_photo(np.random.default_rng(9), 140, 100).save(images / "birds" / "new.png")
    add(index)
    drop_layers(index, ["classifier"])
    with indexer.open(index) as opened:
        assert len(opened.images) == known + 1
        np.testing.assert_array_equal(opened.layer(LAYER).scored().clarity, scores.clarity)
        np.testing.assert_array_equal(neuron_atlas(opened, LAYER).layout, atlas.layout)
        assert opened.layer(LAYER).scored().recipe.images == neuron_atlas(opened, LAYER).recipe.images == known
    assert verify(index) == []
    drop_layers(index, [LAYER])
    assert not any(LAYER in key for key in read_manifest(index).derived)
