"""What FAISS's rounded scores allow to leave out: never a cell that belongs to the answer."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.derive.nearest import ivf, vectors
from indexer.errors import InvalidRequest
from indexer.jobs.build import build
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.nearest import similarity
from indexer.query.nearest.proposals import SearchPlan
from indexer.query.records import PerImage
from indexer.shards.reader import Shard
from tests import reference
from tests.conftest import LAYERS, build_request
from tests.marks import seeds


@pytest.fixture(params=seeds(3))
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.param)


def reading(index: Index, layer: Layer, read: list[int]) -> similarity.ReadMaps:
    def read_maps(row: int) -> np.ndarray:
        read.append(row)
        return every_map(index.path, layer.name)[row]

    return read_maps


@cache
def every_map(path: Path, layer: str) -> list[np.ndarray]:
    with indexer.open(path) as index:
        return [index.activation_maps(int(id), layer).astype(np.float16) for id in index.images.id]


def queries(index: Index, layer: Layer, rng: np.random.Generator) -> list[np.ndarray]:
    """Vectors of cells, near to one, and of any direction."""
    maps = index.activation_maps(int(index.images.id[rng.integers(len(index.images))]), layer.name)
    own = maps.reshape(len(maps), -1)[:, rng.integers(layer.info.cells)]
    return [own + 1e-3, own + rng.normal(0, 1 + own.std(), len(own)), rng.normal(size=len(own))]


@pytest.fixture(scope="module")
def in_lists(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small index, its vectors as codes in lists of which one would be probed."""
    path = tmp_path_factory.mktemp("lists") / "index"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "FLAT_BYTES", 1000)
        patch.setattr(vectors, "FALLBACK_BYTES", 0)
        patch.setattr(ivf, "RECALL", 0)
        manifest = build(path, build_request(photo_folder))
    assert all((about["probes"], about["type"][:3]) == (1, "IVF") for about in manifest.vectors.values())
    return path


def asking(index: Index, layer: Layer) -> SearchPlan:
    about = index.manifest.vectors[layer.name]
    return SearchPlan(about.get("probes"), about.get("candidates"))


@pytest.mark.parametrize("kept", ["small_index", "in_lists"])
@pytest.mark.parametrize("one", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_no_cell_that_is_nearer_is_left_out(
    request: pytest.FixtureRequest, kept: str, rng: np.random.Generator, name: str, one: bool
) -> None:
    with indexer.open(request.getfixturevalue(kept)) as index:
        layer = index.layer(name)
        for query in queries(index, layer, rng):
            read = reading(index, layer, [])
            every = similarity.scan(layer, range(len(index.images)), read, similarity.cosine_to(query), 3000, one=one)
            for count in (1, 7, 39, 45, 3000):
                found = similarity.nearest_of_all(layer, query, read, count, asking(index, layer), one=one)
                assert found == every[:count]


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("small_index", (similarity.nearest, similarity.nearest_of_all)),
        ("in_lists", (similarity.nearest,)),  # codes bound nothing, so that all of all maps are read
    ],
)
@pytest.mark.parametrize("one", [True, False])
def test_few_maps_are_read_where_few_cells_may_be_nearest(
    request: pytest.FixtureRequest, kept: str, asked: tuple, rng: np.random.Generator, one: bool
) -> None:
    with indexer.open(request.getfixturevalue(kept)) as index:
        layer = index.layer("features.12")
        read: list[int] = []
        near = queries(index, layer, rng)[0]
        for ask in asked:
            assert len(ask(layer, near, reading(index, layer, read), 1, asking(index, layer), one=one)) == 1
        assert len(read) < len(index.images) / 2


def test_images_nearest_in_blocks_are_those_of_one_product(
    small_index: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with indexer.open(small_index) as index:
        layer = index.layer("features.12")
        peaks = rng.normal(0, 5, layer.info.channels).astype(np.float32)
        positive, query = np.maximum(layer.peaks, 0).astype(np.float64), np.maximum(peaks, 0).astype(np.float64)
        cosines = query @ positive / np.linalg.norm(positive, axis=0) / np.linalg.norm(query)
        for block in (3, 16, 1000):
            monkeypatch.setattr(similarity, "BLOCK_IMAGES", block)
            for count in (1, 10, 40, 100):
                found = similarity.nearest_images(layer, peaks, count)
                assert [row for row, _ in found] == np.argsort(-cosines, kind="stable")[:count].tolist()
                np.testing.assert_allclose([score for _, score in found], np.sort(cosines)[::-1][:count], rtol=1e-5)


@pytest.mark.parametrize("seed", seeds(5, 2))
def test_the_first_of_equal_scores_come_first(seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 5, 50).astype(np.float32)
    for count in (0, 1, 3, 20, 50, 60):
        assert similarity.highest(scores, count).tolist() == np.argsort(-scores, kind="stable")[:count].tolist()


@pytest.fixture(scope="module", params=["flat float16", "IVF16_HNSW32, RaBitQ", "IVF128_HNSW32, RaBitQ"])
def noisy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of noise on whose maps of 23 x 31 no cell is like the next; FAISS knows every second one each way."""
    folder, rng = tmp_path_factory.mktemp("noisy"), np.random.default_rng(7)
    (folder / "photos").mkdir()
    for number in range(20):
        Image.fromarray(rng.integers(0, 256, (101, 139, 3), np.uint8)).save(folder / "photos" / f"{number:02}.png")
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "flat float16":
            patch.setattr(vectors, "FLAT_BYTES", 1000)
        if request.param.startswith("IVF128"):
            patch.setattr(vectors, "FEW_LISTS_BYTES", 1000)
        manifest = build(folder / "index", build_request(folder / "photos", layers=("features.4",)))
    assert manifest.vectors["features.4"]["type"] == request.param
    assert manifest.vectors["features.4"]["grid_step"] == 2
    return folder / "index"


def test_a_cell_is_nearest_to_itself_though_the_grid_lacks_it(noisy: Path, rng: np.random.Generator) -> None:
    with indexer.open(noisy) as index:
        maps = np.stack([index.activation_maps(image.id, "features.4") for image in index.find_images().items])
        assert maps.shape[2:] == (23, 31)
        for _ in range(12):
            row, y, x = (int(rng.integers(size)) for size in (len(maps), *maps.shape[2:]))
            cosines = reference.cosines(maps, maps[row, :, y, x])
            for offset in (0, 3):
                page = index.similar("features.4", row, y, x, limit=4, offset=offset)
                assert len(page.items) == 4
                if offset == 0:
                    first = page.items[0]
                    assert (first.image.id, first.y, first.x) == (row, y, x)
                    assert first.score == pytest.approx(cosines.max(), abs=1e-6)
            # Of the image asked about, what is found is what there is.
            every = index.similar("features.4", row, y, x, limit=60, per_image="all").items
            own = [hit.score for hit in every if hit.image.id == row]
            np.testing.assert_allclose(own, np.sort(cosines[row])[::-1][: len(own)], rtol=1e-5)


@pytest.mark.parametrize("per_image", ["one", "all"])
def test_pages_of_what_is_proposed_fit_together(noisy: Path, rng: np.random.Generator, per_image: PerImage) -> None:
    """FAISS is asked for more where more is wanted, and then knows of cells that it did not know of before."""
    most = 19 if per_image == "one" else 30  # of 20 images
    with indexer.open(noisy) as index:
        for size in (4, 11):
            row, y, x = (int(rng.integers(side)) for side in (20, *index.layer("features.4").info.shape))
            weights = {int(neuron): float(rng.normal()) for neuron in rng.choice(64, 9, replace=False)}
            for ask in (
                partial(index.similar, "features.4", row, y, x, per_image=per_image),
                partial(index.search, "features.4", weights, per_image=per_image),
            ):
                pages = [ask(limit=size, offset=at).items for at in range(0, most, size)]
                assert all(page == sorted(page, key=lambda hit: -hit.score) for page in pages)
                found = [(hit.image.id, hit.y, hit.x, hit.score) for page in pages for hit in page]
                assert len(set(found)) == len(found) >= most
                later = ask(limit=size, offset=size + 1).items
                assert set(later) <= {hit for page in pages[1:3] for hit in page}
                assert len({hit.image.id for page in pages for hit in page}) == len(found) or per_image == "all"


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (3, -2)])
def test_no_page_of_nothing(small_index: Path, limit: int, offset: int) -> None:
    with indexer.open(small_index) as index:
        first = int(index.images.id[0])
        for ask in (
            partial(index.similar, "features.12", first, 1, 2), partial(index.search, "features.12", {3: 1.0}),
            partial(index.top_patches, "features.12", 3, per_image="all"), partial(index.neurons_firing, first),
            partial(index.top_patches, "features.12", 3), index.find_images,
        ):  # fmt: skip
            with pytest.raises(InvalidRequest, match=f"limit must be at least 1 .*, not {limit} and {offset}"):
                ask(limit=limit, offset=offset)


def test_no_more_maps_are_read_for_a_cell_of_the_index(
    noisy: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with indexer.open(noisy) as index:
        layer, maps = index.layer("features.4"), Shard.maps
        read: list[tuple[str, int]] = []
        monkeypatch.setattr(
            Shard, "maps", lambda shard, name, row: read.append((shard.name, row)) or maps(shard, name, row)
        )
        for _ in range(10):
            row, y, x = (int(rng.integers(size)) for size in (20, *layer.info.shape))
            read.clear()
            vector = index.activation_maps(row, layer.name)[:, y, x]
            [own] = read
            read.clear()
            index.nearest(layer.name, vector, limit=1, per_image="all")
            without = set(read)
            read.clear()
            index.similar(layer.name, row, y, x, limit=1, per_image="all")
            assert set(read) == without | {own}
            assert len(read) <= len(without) + 2
