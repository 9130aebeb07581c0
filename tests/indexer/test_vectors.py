"""The FAISS index: which cells it holds, how it is chosen, and how well it finds."""

import os
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest

import indexer
from indexer.derive.nearest import ivf, rabitq, vectors
from indexer.derive.sources import Sources, closing_opened
from indexer.errors import DamagedFile
from indexer.jobs.build import BuildRequest, build
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.shards.reader import Shard
from tests import reference
from tests.conftest import build_request, write_photos
from tests.marks import seeds


@pytest.mark.parametrize(
    ("height", "width", "step"),
    [(1, 1, 1), (13, 13, 1), (11, 15, 1), (16, 16, 1), (17, 16, 2), (27, 27, 2), (23, 55, 3)],
)
def test_the_grid_covers_a_map(height: int, width: int, step: int) -> None:
    cells = vectors.grid(height, width)
    assert vectors.grid_step(height, width) == step
    assert len(cells) <= vectors.CELLS
    y, x = np.divmod(cells, width)
    every_y, every_x = np.divmod(np.arange(height * width), width)
    farthest = np.maximum(np.abs(every_y[:, None] - y), np.abs(every_x[:, None] - x)).min(axis=1).max()
    assert farthest <= step // 2, "a cell is out of reach of the grid"


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize(("height", "width"), [(1, 1), (11, 15), (23, 55)])
def test_vectors_are_those_of_cells(height: int, width: int, seed: int) -> None:
    maps = np.random.default_rng(seed).normal(0, 9, (37, height, width)).clip(-3, None).astype(np.float16)
    maps[:, 0, 0] = 0
    maps[:, -1, -1] = [6e-8, *[0] * 35, -6e-8]
    found = vectors.unit_vectors(maps)
    for vector, cell in zip(found, vectors.grid(height, width), strict=True):
        own = maps[:, *divmod(cell, width)].astype(np.float32)
        length = np.linalg.norm(own)
        np.testing.assert_allclose(vector, own / length if length else own, rtol=1e-6)
    assert found.dtype == np.float32


def test_codes_round_ties_away_from_zero(photos: Path, tmp_path: Path) -> None:
    """Which FAISS's own code does, where no instruction of the processor is used."""
    manifest = build(tmp_path / "index", build_request(photos, layers=("features.7",)))
    index = faiss.read_index(str(tmp_path / "index" / manifest.derived["vectors features.7"]))
    with indexer.open(tmp_path / "index") as opened:
        maps = [opened.activation_maps(image.id, "features.7") for image in opened.find_images(limit=99).items]
    exact = np.concatenate([vectors.unit_vectors(image) for image in maps]).astype(np.float64)
    unit = 2.0 ** np.clip(np.frexp(exact)[1] - 11, -24, None)  # of the last place of a half, 2^-24 at the least
    expected = np.sign(exact) * np.floor(np.abs(exact) / unit + 0.5) * unit
    np.testing.assert_array_equal(index.reconstruct_n(0, index.ntotal), expected)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=8, count=24)


def mean_recall(path: Path, layer: str, seed: int) -> float:
    """Share of the true ten nearest cells that are found, ties counted by score."""
    rng = np.random.default_rng(seed)
    shares = []
    with indexer.open(path) as index:
        maps = np.stack([index.activation_maps(image.id, layer) for image in index.find_images(limit=99).items])
        for _ in range(12):
            row, y, x = (int(rng.integers(size)) for size in (len(maps), *maps.shape[2:]))
            found = index.similar(layer, row, y, x, limit=10, per_image="all").items
            tenth = np.sort(reference.cosines(maps, maps[row, :, y, x]).ravel())[-10]
            shares.append(np.mean([hit.score >= tenth - 1e-5 for hit in found]))
    return float(np.mean(shares))


@pytest.mark.parametrize(
    ("flat_bytes", "few_lists_bytes", "kind"),
    [
        (1 << 26, 1 << 30, "flat float16"),
        (1000, 1 << 30, "IVF16_HNSW32, RaBitQ"),
        (1000, 1000, "IVF128_HNSW32, RaBitQ"),
    ],
)
def test_a_layer_of_many_cells_is_found_through_its_grid(
    photos: Path, tmp_path: Path, flat_bytes: int, few_lists_bytes: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "FLAT_BYTES", flat_bytes)
    monkeypatch.setattr(vectors, "FEW_LISTS_BYTES", few_lists_bytes)
    manifest = build(tmp_path / "index", build_request(photos, layers=("features.4",)))
    about = manifest.vectors["features.4"]
    assert (about["type"], about["grid_step"], about["count"]) == (kind, 2, 24 * 12 * 16)
    for seed in (0, 1):
        assert mean_recall(tmp_path / "index", "features.4", seed) >= 0.85


@pytest.mark.parametrize(("few_lists_bytes", "lists"), [(1 << 30, 16), (1000, 128)])
def test_a_large_index_is_an_inverted_file_of_measured_recall(
    photos: Path, tmp_path: Path, few_lists_bytes: int, lists: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "FLAT_BYTES", 1000)
    monkeypatch.setattr(vectors, "FEW_LISTS_BYTES", few_lists_bytes)
    manifest = build(tmp_path / "index", build_request(photos, layers=("features.7",)))
    about = manifest.vectors["features.7"]
    assert about["type"] == f"IVF{lists}_HNSW32, RaBitQ"
    assert about["recall_at_10"] >= ivf.RECALL
    assert 1 <= about["probes"] <= lists
    assert mean_recall(tmp_path / "index", "features.7", 0) >= 0.9


@pytest.mark.parametrize("lists", [2, 4, 8])
def test_few_vectors_have_fewer_lists(lists: int) -> None:
    assert rabitq.few_lists(lists**2 // 4) == lists
    assert rabitq.few_lists(64) == rabitq.few_lists(10**6) == 16


@pytest.fixture
def too_little(monkeypatch: pytest.MonkeyPatch, photos: Path) -> BuildRequest:
    """What to build so that codes do not reach the recall: few numbers a vector, and no candidates to spare."""
    monkeypatch.setattr(rabitq, "FACTORS", (1,))
    return build_request(photos, model="tests.own_models:small", layers=("0",), preprocessing={})


def test_where_codes_find_too_little_the_index_is_flat(
    too_little: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = build(tmp_path / "flat", too_little)
    monkeypatch.setattr(vectors, "FLAT_BYTES", 1000)
    after_all = build(tmp_path / "after all", too_little)
    assert after_all.vectors == flat.vectors
    assert flat.vectors["0"]["type"] == "flat float16"
    files = {name: (tmp_path / name / manifest.derived["vectors 0"]).read_bytes()
             for name, manifest in (("flat", flat), ("after all", after_all))}  # fmt: skip
    assert files["flat"] == files["after all"]
    assert {path.suffix for path in (tmp_path / "after all/derived/000001").iterdir()} == {".h5", ".faiss"}
    assert verify(tmp_path / "after all") == []


def test_beyond_what_may_be_flat_a_low_recall_is_said(
    too_little: BuildRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "FLAT_BYTES", 1000)
    monkeypatch.setattr(vectors, "FALLBACK_BYTES", 1000)
    about = build(tmp_path / "index", too_little).vectors["0"]
    assert about["type"] == "IVF16_HNSW32, RaBitQ"
    assert 0.1 < about["recall_at_10"] < ivf.RECALL
    assert about["candidates"] == 1


@pytest.mark.parametrize(("wanted", "images"), [(50, 8), (1800, 11), (10**6, 24)])
def test_the_sample_is_bounded_and_from_the_whole_index(
    photos: Path, tmp_path: Path, wanted: int, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = build(tmp_path / "index", build_request(photos, layers=("features.7",), shard_size=4))
    [layer] = manifest.configuration.layers
    sources = Sources(
        tmp_path / "index", manifest.configuration, tuple(manifest.shards), tmp_path / "index/derived/000001/images.h5"
    )
    monkeypatch.setattr(vectors, "_SAMPLED_IMAGES", 8)
    read: set[tuple[str, int]] = set()
    maps = Shard.maps
    monkeypatch.setattr(Shard, "maps", lambda self, name, row: read.add((self.name, row)) or maps(self, name, row))
    with closing_opened():
        sample = vectors._sample(sources, layer, wanted)
        assert len(sample) == min(wanted, 24 * 11 * 15)
        assert len(read) == images
        assert len({name for name, _ in read}) >= 4, "of six shards"
        np.testing.assert_array_equal(sample, vectors._sample(sources, layer, wanted))
        monkeypatch.setattr(vectors, "_SAMPLE_BYTES", 4 * layer.channels * 20)
        assert len(vectors._sample(sources, layer, wanted)) == 20


LISTS = "derived/000001/features.7.lists"


def make_small_parts(patch: pytest.MonkeyPatch, kind: str) -> None:
    """From here on an inverted file is merged from eight parts."""
    patch.setattr(vectors, "FLAT_BYTES", 1000)
    if kind == "many lists":
        patch.setattr(vectors, "FEW_LISTS_BYTES", 1000)
    patch.setattr(vectors, "_BLOCK_IMAGES", 3)
    patch.setattr(vectors, "PART_BYTES", 3 * 11 * 15 * 256 * 2)


@pytest.fixture(scope="module", params=["few lists", "many lists"])
def built(request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    index = tmp_path_factory.mktemp("built") / "index"
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch, request.param)
        build(index, build_request(photos, layers=("features.7",)))
    return index, request.param


@pytest.fixture
def on_disk(built: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index whose inverted file was merged from eight parts."""
    make_small_parts(monkeypatch, built[1])
    return Path(shutil.copytree(built[0], tmp_path / "index"))


def neighbours(path: Path) -> list[tuple[int, int, int, float]]:
    with indexer.open(path) as index:
        found = [index.similar("features.7", image, 3, 5, limit=9, per_image="all").items for image in (0, 5, 17)]
    return [(hit.image.id, hit.y, hit.x, hit.score) for hits in found for hit in hits]


def test_parts_are_merged_as_if_filled_at_once(on_disk: Path, photos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(vectors, "PART_BYTES", 1 << 30)
    build(tmp_path / "once", build_request(photos, layers=("features.7",)))
    assert neighbours(on_disk) == neighbours(tmp_path / "once")
    with indexer.open(on_disk) as a, indexer.open(tmp_path / "once") as b:
        assert a.layer("features.7").vectors().ntotal == b.layer("features.7").vectors().ntotal
    assert sorted(path.name for path in (on_disk / "derived" / "000001").iterdir()) == [
        "features.7.faiss", "features.7.h5", "features.7.lists", "images.h5",
    ]  # fmt: skip


def test_nothing_is_printed(photos: Path, tmp_path: Path, monkeypatch, capfd: pytest.CaptureFixture[str]) -> None:
    """FAISS would, into the output of the command."""
    monkeypatch.setattr(vectors, "FLAT_BYTES", 1000)
    os.write(1, b"before ")
    build(tmp_path / "index", build_request(photos, layers=("features.7",)))
    os.write(1, b"after")
    assert capfd.readouterr().out == "before after"
    assert (tmp_path / "index" / LISTS).exists()


def test_lists_are_mapped_where_the_index_is_now(on_disk: Path, tmp_path: Path) -> None:
    found = neighbours(on_disk)
    moved = on_disk.rename(tmp_path / "moved")
    assert neighbours(moved) == found
    with indexer.open(moved) as index:
        index.layer("features.7").vectors()
        assert str(moved / LISTS) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("per_image", ["one", "all"])
def test_a_list_ends_where_the_lists_that_are_looked_at_end(on_disk: Path, per_image: str) -> None:
    with indexer.open(on_disk) as index:
        index.manifest.vectors["features.7"]["probes"] = 1
        asked = {"per_image": per_image, "limit": 500}
        starts = range(0, 24 * 11 * 15 + 500, 500)
        pages = [index.similar("features.7", 7, 3, 5, offset=start, **asked) for start in starts]
        found = sum(len(page.items) for page in pages)
        assert (pages[-1].items, pages[-1].total) == ([], found)
        assert found < 24 * 11 * 15
        assert all(len(page.items) == 500 for page in pages if page.total > page.offset + 500)


def test_removing_and_compacting(on_disk: Path) -> None:
    remove(on_disk, ids=[0, 5])
    with indexer.open(on_disk) as index:
        assert index.layer("features.7").vectors().ntotal == index.manifest.images * 11 * 15
        hits = index.similar("features.7", 17, 3, 5, limit=99, per_image="all").items
    assert {hit.image.id for hit in hits}.isdisjoint({0, 5})
    compact(on_disk)
    with indexer.open(on_disk) as index:
        assert index.similar("features.7", 17, 3, 5, limit=99, per_image="all").items == hits
    assert verify(on_disk) == []


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 999)])
def test_damaged_lists_are_named(on_disk: Path, damage) -> None:
    expected = neighbours(on_disk)
    damage(on_disk / LISTS)
    assert [fault.file for fault in verify(on_disk)] == [LISTS]
    with pytest.raises(DamagedFile, match=r"features\.7\.faiss: .*"):
        neighbours(on_disk)
    repair(on_disk)
    assert neighbours(on_disk) == expected


def test_a_full_disk_is_an_error_of_the_system() -> None:
    index = faiss.IndexFlatIP(4)
    index.add(np.ones((50_000, 4), np.float32))
    with pytest.raises(OSError, match="full cannot be written"):
        ivf.write_index(index, Path("/dev/full"))
