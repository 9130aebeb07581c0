"""Neurons found by texts: beside a slow twin, over the life of an index, and what is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.cli import main
from indexer.derive.carried.patch_vectors import KIND, VERSION, EncoderName, read_patch_vectors
from indexer.describe.by_text import find_by_text
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.index import hdf5, layout
from indexer.jobs.derived.patch_vectors import encode_patches, keep_patch_vectors
from indexer.query.index import Index
from indexer.query.searching.by_text import fires_for
from tests.colour_encoder import Colours, Wrong
from tests.planted import build_planted, numbered, write_colours

LAYER, PATCHES = "1", 8
ENCODER = ["--encoder", "tests.colour_encoder:Colours"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red, green and blue pictures with vectors; the first neurons of layer "1" are for one colour each."""
    folder = tmp_path_factory.mktemp("planted")
    index = build_planted(write_colours(folder / "images", 5, numbered(30)), folder / "index")
    assert main(["patch-vectors", str(index), "--layer", LAYER, *ENCODER, "--patches", str(PATCHES)]) == 0
    return index


@pytest.fixture
def own(planted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planted, tmp_path / "index"))


def patches_of(index: Index, neuron: int) -> list[np.ndarray]:
    """The encoder's unit vectors of a neuron's top patches, from their pictures."""
    vectors = []
    for patch in index.top_patches(LAYER, neuron, limit=PATCHES).items:
        if patch.activation > 0:
            box = patch.box
            crop = index.picture(patch.image).crop((box.left, box.top, box.right, box.bottom))
            (vector,) = Colours().encode_images([crop])
            vectors.append(vector / np.linalg.norm(vector))
    return vectors


def slow_ranking(index: Index, text: str) -> list[tuple[int, float, float | None]]:
    """Neuron, score and AUC: one pair of patches after the other."""
    (word,) = Colours().encode_texts([text])
    word = word / np.linalg.norm(word)
    patches = {neuron: patches_of(index, neuron) for neuron in range(index.layer(LAYER).info.channels)}
    held = {neuron: [float(vector @ word) for vector in own[1::2]] for neuron, own in patches.items()}
    found = []
    for neuron, own in patches.items():
        if not own:
            continue
        mean = np.mean(own[::2], axis=0)
        others = [value for other, values in held.items() if other != neuron for value in values]
        pairs = [(a > b + 1e-6) + (abs(a - b) <= 1e-6) / 2 for a in held[neuron] for b in others]
        auc = float(np.mean(pairs)) if len(held[neuron]) >= 3 and pairs else None
        found.append((neuron, float(mean @ word / np.linalg.norm(mean)), auc))
    return sorted(found, key=lambda item: -item[1])


@pytest.mark.parametrize("text", ["red", "blue", "yellow"])
def test_neurons_are_ranked_as_by_a_slow_twin(planted: Path, text: str) -> None:
    with indexer.open(planted) as index:
        found, expected = find_by_text(index, LAYER, Colours(), text, limit=1000), slow_ranking(index, text)
    assert found.total == len(expected)
    assert found.patches == found.wanted > 0
    scores = {item.neuron: item.score for item in found.items}
    for neuron, score, auc in expected:
        item = next(item for item in found.items if item.neuron == neuron)
        assert item.score == pytest.approx(score, abs=1e-5)
        assert item.auc == (None if auc is None else pytest.approx(auc, abs=0.02))
        assert (item.auc is None) == (item.auc_at_least is None)
    assert [item.score for item in found.items] == sorted(scores.values(), reverse=True)
    values = [score for _, score, _ in expected]
    assert (found.mean, found.deviation) == pytest.approx((np.mean(values), np.std(values)), abs=1e-5)


@pytest.mark.parametrize("neuron", range(3))
def test_a_neuron_for_a_colour_is_found_by_its_name(planted: Path, neuron: int) -> None:
    text = ["red", "green", "blue"][neuron]
    with indexer.open(planted) as index:
        found = find_by_text(index, LAYER, Colours(), text, limit=3)
        best = {item.neuron: item for item in found.items}
        assert neuron in best
        assert best[neuron].score > found.mean + found.deviation
        assert best[neuron].auc is not None
        assert best[neuron].auc > 0.8
        assert find_by_text(index, LAYER, Colours(), text, limit=1).items == found.items[:1]


def test_removed_images_take_their_patches_along_and_compact_erases_them(own: Path) -> None:
    with indexer.open(own) as index:
        best = index.top_patches(LAYER, 0, limit=2).items
        before = find_by_text(index, LAYER, Colours(), "red", 100)
    assert main(["remove", str(own), *(part for patch in best for part in ("--path", patch.image.path))]) == 0
    with indexer.open(own) as index:
        vectors, found = index.patch_vectors(LAYER), find_by_text(index, LAYER, Colours(), "red", 100)
        gone = {patch.image.id for patch in best}
        assert gone & set(vectors.images.tolist())  # in the file still, in no answer
        assert found.patches < before.wanted
        assert next(item.patches for item in found.items if item.neuron == 0) < PATCHES
    assert main(["compact", str(own)]) == 0
    with indexer.open(own) as index:
        assert not gone & set(index.patch_vectors(LAYER).images.tolist())
        assert find_by_text(index, LAYER, Colours(), "red", 100) == found
    assert len([*(own / layout.PATCH_VECTORS).iterdir()]) == 1
    assert main(["verify", str(own)]) == 0


def test_a_second_run_encodes_what_is_new_alone(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Counting(Colours):
        seen = 0

        def encode_images(self, images: object) -> np.ndarray:
            Counting.seen += len(images)  # type: ignore[arg-type]
            return super().encode_images(images)  # type: ignore[arg-type]

    with indexer.open(own) as index:
        first = index.top_patches(LAYER, 0, limit=1).items[0].image.path
    assert main(["remove", str(own), "--path", first]) == 0
    with indexer.open(own) as index:
        encoded = encode_patches(index, LAYER, Counting(), patches=PATCHES)
        assert 0 < Counting.seen == len(encoded.vectors) - encoded.reused < len(encoded.vectors) / 2
    keep_patch_vectors(own, encoded)
    with indexer.open(own) as index:
        found = find_by_text(index, LAYER, Colours(), "red", 100)
        assert found.patches == found.wanted
        expected = slow_ranking(index, "red")
        assert [item.score for item in found.items] == pytest.approx([score for _, score, _ in expected], abs=1e-5)


def test_patches_whose_originals_are_gone_are_left_out_and_said(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with indexer.open(own) as index:
        images = Path(shutil.copytree(str(index.manifest.image_root), tmp_path / "images"))
        lost = index.top_patches(LAYER, 0, limit=1).items[0].image.path
    (images / lost).unlink()
    shutil.rmtree(own / layout.PATCH_VECTORS)
    capsys.readouterr()
    asked = ["patch-vectors", str(own), "--layer", LAYER, *ENCODER, "--images", str(images), "--patches", "4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Index, "has_patch_vectors", lambda *_: False)
        assert main(asked) == 0
    assert f"1 originals are gone, and their patches were left out: {lost}" in capsys.readouterr().out
    assert main(["fires-for", str(own), "red", "--layer", LAYER, *ENCODER]) == 0
    assert "top patches have no vector" in capsys.readouterr().err


def test_the_command_says_score_check_and_what_to_see_it_beside(
    planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fires-for", str(planted), "red", "--layer", LAYER, *ENCODER, "--limit", "2"]) == 0
    told = capsys.readouterr()
    assert "score" in told.out.splitlines()[0]
    assert "AUC" in told.out
    assert "on average" in told.err
    assert "no vector" not in told.err


def test_what_cannot_be_searched_is_refused(planted: Path, tmp_path: Path) -> None:
    other = Colours()
    other.digest = "1" * 64
    with indexer.open(planted) as index:
        with pytest.raises(InvalidRequest, match=r"digest 0000.*digest 1111.*patch-vectors with this one"):
            find_by_text(index, LAYER, other, "red")
        with pytest.raises(InvalidRequest, match="a text has 1 to 200 characters, not 0"):
            find_by_text(index, LAYER, Colours(), "")
        with pytest.raises(InvalidRequest, match="texts 4 numbers and patches 3"):
            fires_for(index, LAYER, EncoderName(Colours.name, Colours.digest), np.ones(4))
        with pytest.raises(NotFound, match="patch-vectors INDEX --layer 4"):
            find_by_text(index, "4", Colours(), "red")
        with pytest.raises(InvalidRequest, match="patches must be 2 to 200, not 1"):
            encode_patches(index, LAYER, Colours(), patches=1)
        with pytest.raises(InvalidRequest, match="NaN, infinity or a vector of zeros"):
            encode_patches(index, "4", Wrong("nan"))


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("cells", lambda array: array + 10_000, "names cells that its layer does not have"),
        ("images", lambda array: array[::-1], "names cells that its layer does not have, or patches twice"),
        ("images", lambda array: array[:-1], "does not hold cells of patches"),
        ("vectors", lambda array: array * 2, "holds vectors whose length is not 1"),
        ("vectors", lambda array: array * np.nan, "holds vectors whose length is not 1"),
        ("vectors", lambda array: array.astype(np.float64), "does not hold vectors of patches"),
        ("name", lambda array: np.full(3, 255, np.uint8), "names its encoder in no text"),
        ("recipe", lambda array: array * 0, "was made of a number of patches that cannot be"),
    ],
)
def test_a_file_that_is_none_is_refused(
    planted: Path, tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], told: str
) -> None:
    (file,) = (planted / layout.PATCH_VECTORS).iterdir()
    arrays = {key: np.array(array) for key, array in hdf5.map_arrays(file, file.name, KIND, VERSION).items()}
    with indexer.open(planted) as index:
        layer = index.layer(LAYER).info
        assert len(read_patch_vectors(planted, f"{layout.PATCH_VECTORS}/{file.name}", layer))
    with hdf5.create_file(tmp_path / "wrong.h5", KIND, VERSION) as out:
        for key, array in (arrays | {name: np.ascontiguousarray(change(arrays[name]))}).items():
            out.create_dataset(key, data=array)
    with pytest.raises(DamagedFile, match=told):
        read_patch_vectors(tmp_path, "wrong.h5", layer)
