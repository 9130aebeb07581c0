"""Indexes of codes: what is written of their recall holds, and what decides between candidates are the maps."""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest

import indexer
from indexer.derive.nearest import faiss_gpu, ivf, rabitq, vectors
from indexer.derive.nearest.faiss_reader import WrongVectors
from indexer.derive.nearest.ivf import MeasuredWay, Trained, choose_way, fill, write_inverted
from indexer.derive.nearest.rabitq import train_codes
from indexer.derive.nearest.vectors_file import check_vectors
from indexer.derive.sources import Sources, closing_opened
from indexer.index.manifest import read_manifest
from indexer.jobs.build import build
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.query.index import Index
from tests import reference
from tests.conftest import build_request, write_photos
from tests.marks import seeds
from tests.object_store import ObjectStore, upload
from tests.service.conftest import make_app

LAYER = "features.7"


FEW, MANY = 1 << 30, 1000
"""Bytes up to which there are few lists, so that there are few, or many."""


EITHER = [(8, FEW), (9, MANY), *(pytest.param(other, marks=pytest.mark.slow) for other in ((9, FEW), (8, MANY)))]


@pytest.fixture(scope="module", params=EITHER)
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 24 photographs whose vectors are codes."""
    folder = tmp_path_factory.mktemp("codes")
    seed, few_lists_bytes = request.param
    photos = write_photos(folder / "photos", seed=seed, count=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "FLAT_BYTES", 1000)
        patch.setattr(vectors, "FEW_LISTS_BYTES", few_lists_bytes)
        build(folder / "index", build_request(photos, layers=(LAYER,)))
    return folder / "index"


def all_maps(index: Index) -> np.ndarray:
    return np.stack([index.activation_maps(image.id, LAYER) for image in index.find_images(limit=99).items])


def queries_it_was_measured_with(path: Path) -> np.ndarray:
    manifest = read_manifest(path)
    [layer] = manifest.configuration.layers
    sources = Sources(path, manifest.configuration, tuple(manifest.shards), path / manifest.derived["images"])
    lists = int(manifest.vectors[LAYER]["type"].removeprefix("IVF").split("_")[0])
    with closing_opened():
        return vectors._queries(sources, layer, {16: 64, 128: 256}[lists])


def test_the_recall_that_is_written_is_what_answers_have(coded: Path) -> None:
    queries = queries_it_was_measured_with(coded)
    with indexer.open(coded) as index:
        about, maps, shares = index.manifest.vectors[LAYER], all_maps(index), []
        for query in queries:
            tenth = np.sort(reference.cosines(maps, query).ravel())[-10]
            found = index.nearest(LAYER, query, limit=10, per_image="all").items
            shares.append(np.mean([hit.score >= tenth - 1e-6 for hit in found]))
    assert about["type"] in ("IVF16_HNSW32, RaBitQ", "IVF128_HNSW32, RaBitQ")
    assert about["candidates"] in rabitq.FACTORS
    assert 1 <= about["probes"] <= int(about["type"][3:].split("_")[0])
    assert about["recall_at_10"] >= ivf.RECALL
    assert np.mean(shares) == pytest.approx(about["recall_at_10"], abs=0.01)


def test_a_vector_takes_a_bit_a_number(coded: Path) -> None:
    manifest = read_manifest(coded)
    assert (coded / manifest.derived[f"lists {LAYER}"]).stat().st_size == 24 * 11 * 15 * (256 // 8 + 8 + 8)


@pytest.mark.parametrize("seed", seeds(3))
@pytest.mark.parametrize(("per_image", "floor"), [("all", 0.9), ("one", 0.9)])
def test_most_of_the_nearest_are_found(coded: Path, per_image: str, floor: float, seed: int) -> None:
    rng, shares = np.random.default_rng(seed), []
    with indexer.open(coded) as index:
        maps = all_maps(index)
        for _ in range(12):
            row, y, x = (int(rng.integers(size)) for size in (24, 11, 15))
            exact = index.similar(LAYER, row, y, x, limit=20, per_image=per_image, exact=True).items
            for limit in (1, 10, 20):
                hits = index.similar(LAYER, row, y, x, limit=limit, per_image=per_image).items
                found, right = ([(hit.image.id, hit.y, hit.x) for hit in some] for some in (hits, exact[:limit]))
                assert len(found) == len(right) == limit
                shares.append(len(set(found) & set(right)) / limit)
            cosines = reference.cosines(maps, maps[row, :, y, x]).reshape(24, -1)
            best = cosines.ravel() if per_image == "all" else cosines.max(axis=1)
            np.testing.assert_allclose([hit.score for hit in exact], np.sort(best)[::-1][:20], rtol=1e-5)
    assert np.mean(shares) >= floor


def test_scores_are_those_of_the_maps_in_order_and_once(coded: Path) -> None:
    with indexer.open(coded) as index:
        maps = all_maps(index)
        cosines = reference.cosines(maps, maps[7, :, 3, 5]).reshape(24, 11, 15)
        for limit, offset in ((1, 0), (7, 0), (7, 700), (400, 3), (5000, 0)):
            for per_image in ("one", "all"):
                hits = index.similar(LAYER, 7, 3, 5, limit=limit, offset=offset, per_image=per_image).items
                scores = [hit.score for hit in hits]
                np.testing.assert_allclose(scores, [cosines[hit.image.id, hit.y, hit.x] for hit in hits], rtol=1e-5)
                assert scores == sorted(scores, reverse=True)
                assert len({(hit.image.id, hit.y, hit.x) for hit in hits}) == len(hits)
                if per_image == "one":
                    assert len({hit.image.id for hit in hits}) == len(hits) == max(0, min(limit, 24 - offset))
                else:
                    assert len(hits) <= limit
        assert index.similar(LAYER, 7, 3, 5, limit=10, per_image="all").items[0].image.id == 7


@pytest.mark.parametrize("seed", seeds(3))
def test_directions_are_searched(coded: Path, seed: int) -> None:
    rng, shares = np.random.default_rng(seed), []
    with indexer.open(coded) as index:
        for _ in range(6):
            weights = {int(neuron): float(rng.normal()) for neuron in rng.choice(256, 5, replace=False)}
            for per_image in ("one", "all"):
                pages = [
                    index.search(LAYER, weights, limit=10, exact=exact, per_image=per_image).items
                    for exact in (False, True)
                ]
                found, right = ({(hit.image.id, hit.y, hit.x) for hit in hits} for hits in pages)
                shares.append(len(found & right) / 10)
    assert np.mean(shares) >= 0.9


def test_removed_images_are_gone_before_and_after_compacting(coded: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(vectors, "FLAT_BYTES", 1000)
    own = Path(shutil.copytree(coded, tmp_path / "own"))
    seen = []
    remove(own, ids=[0, 5])
    for _ in range(2):
        with indexer.open(own) as index:
            assert index.manifest.vectors[LAYER]["type"].endswith("RaBitQ")
            assert index.layer(LAYER).vectors().ntotal == 22 * 11 * 15
            hits = index.similar(LAYER, 17, 3, 5, limit=99, per_image="all").items
        assert {hit.image.id for hit in hits}.isdisjoint({0, 5})
        seen.append([(hit.image.id, hit.y, hit.x, hit.score) for hit in hits])
        compact(own)
    assert seen[0] == seen[1]


def test_a_service_answers_from_a_folder_and_from_a_bucket(
    coded: Path, object_store: ObjectStore, request: pytest.FixtureRequest
) -> None:
    place = upload(coded, object_store.place(f"{request.node.name}/index"))
    answers = []
    for directory in (coded, place):
        app = make_app(directory)
        url = f"/v1/indexes/index/images/3/layers/{LAYER}/cells/2,3/similar?limit=20"
        answers.append([(item["image"], item["cell"]) for item in app.test_client().get(url).json["items"]])
        app.close()
    assert answers[0] == answers[1]
    assert len(answers[0]) == 20
    assert answers[0][0] == (3, {"y": 2, "x": 3})


def test_a_manifest_that_asks_for_too_many_candidates_is_refused(coded: Path, tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    manifest = json.loads((coded / "manifest.json").read_text())
    for candidates in (0, 101, "all", 2**40):
        manifest["vectors"][LAYER]["candidates"] = candidates
        path.write_text(json.dumps(manifest))
        with pytest.raises(indexer.errors.DamagedFile, match="candidates"):
            read_manifest(tmp_path)


# -- choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recalls", "chosen"),
    [
        ({1: (0.2, 0.5, 0.6), 2: (0.4, 0.7, 0.96), 4: (0.5, 0.96, 0.97)}, (4, 2)),
        ({1: (0.2, 0.5, 0.96), 2: (0.4, 0.5, 0.97), 4: (0.5, 0.5, 0.97)}, (1, 5)),
        ({1: (0.2, 0.3, 0.4), 2: (0.4, 0.5, 0.6), 4: (0.5, 0.6, 0.7)}, (4, 5)),
    ],
)
def test_the_cheapest_way_to_ask_is_chosen(recalls: dict[int, tuple[float, ...]], chosen: tuple[int, int]) -> None:
    def measure(probes: int) -> list[MeasuredWay]:
        return [MeasuredWay(probes, factor, recall) for factor, recall in zip((1, 2, 5), recalls[probes], strict=True)]

    index = faiss.index_factory(8, "IVF4,SQfp16", faiss.METRIC_INNER_PRODUCT)
    way = choose_way(Trained(index, np.zeros((1, 8)), "", (1, 2, 5)), measure, recall=0.95)
    assert (way.probes, way.candidates) == chosen


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize("wanted", [0.3, 0.8, 1.0])
def test_measuring_stops_where_no_way_can_be_cheaper(seed: int, wanted: float) -> None:
    """The way that is chosen is the cheapest of all, also of those that were not measured."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(3000, 8)).astype(np.float32)
    index = faiss.index_factory(8, "IVF64,SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    trained, factors = Trained(index, vectors[:5], "", (1, 2, 5)), (1, 2, 5)
    recalls = {
        2**step: [float(min(1, random.uniform(0, 0.5) + factor * 2**step / 60)) for factor in factors]
        for step in range(7)
    }
    measured: list[int] = []

    def measure(probes: int) -> list[MeasuredWay]:
        measured.append(probes)
        return [MeasuredWay(probes, *pair) for pair in zip(factors, recalls[probes], strict=True)]

    way = choose_way(trained, measure, wanted)
    every = [(probes, *pair) for probes in recalls for pair in zip(factors, recalls[probes], strict=True)]
    seconds = {entry: entry[0] * 3000 / 64 * 40e-9 + entry[1] * 10 * 150e-6 for entry in every}
    reaching = [entry for entry in every if entry[2] >= wanted]
    assert reaching, "the last steps reach every recall"
    assert seconds[way.probes, way.candidates, way.recall] == min(seconds[entry] for entry in reaching)
    if way.candidates == 1:
        assert measured[-1] == way.probes, "more probes cost more, whatever they find"


# -- the graph over the lists -----------------------------------------------------------------------------------------

DIMENSIONS, COUNT = 24, 700


@pytest.mark.parametrize(("lists", "same"), [(rabitq.FEW_LISTS, 9000), (ivf.list_count(9000), 8900)])
def test_lists_that_a_gpu_finds_are_those_of_the_index(lists: int, same: int) -> None:
    """A flat index on the CPU stands for that of a GPU; a graph does not find the nearest centre of every vector."""
    vectors = np.random.default_rng(3).normal(size=(9000, 40)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    trained = train_codes(vectors, lists, vectors[:9])
    parts = [faiss.clone_index(trained.index) for _ in range(2)]
    adding = faiss_gpu.Adding(parts[1])
    centres = faiss.IndexFlatIP(40)
    centres.add(faiss.extract_index_ivf(parts[1]).quantizer.reconstruct_n(0, faiss.extract_index_ivf(parts[1]).nlist))
    adding._centres = centres
    for first, end in ((0, 2000), (2000, 9000)):
        parts[0].add_with_ids(vectors[first:end], np.arange(first, end))
        adding.add(vectors[first:end], np.arange(first, end))
    expected, found = (set(entries(faiss.extract_index_ivf(part))) for part in parts)
    assert len(found) == 9000
    assert len(expected & found) >= same


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize(("count", "k"), [(1, 1), (10, 10), (700, 10), (700, 1)])
def test_the_exact_nearest(seed: int, count: int, k: int) -> None:
    random = np.random.default_rng(seed)
    vectors, queries = (random.normal(size=(n, 24)).astype(np.float32) for n in (count, 9))
    scores, numbers = faiss_gpu.knn(queries, vectors, k)
    products = queries.astype(np.float64) @ vectors.astype(np.float64).T
    np.testing.assert_array_equal(numbers, np.argsort(-products, axis=1)[:, :k])
    np.testing.assert_allclose(scores, -np.sort(-products, axis=1)[:, :k], rtol=1e-4, atol=1e-5)
    assert (scores.dtype, numbers.dtype) == (np.float32, np.int64)


def entries(index: faiss.IndexIVF) -> Iterator[tuple[int, int, bytes]]:
    """List, id and code of every vector."""
    for number in range(index.nlist):
        size = index.invlists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(index.invlists.get_ids(number), size)
            held = faiss.rev_swig_ptr(index.invlists.get_codes(number), size * index.code_size).reshape(size, -1)
            yield from ((number, int(id), code.tobytes()) for id, code in zip(ids, held, strict=True))


def test_the_graph_is_the_same_however_many_threads_there_are() -> None:
    centres = np.random.default_rng(0).normal(size=(500, DIMENSIONS)).astype(np.float32)
    made = []
    for threads in (1, 2, 4, 4):
        faiss.omp_set_num_threads(threads)
        made.append(faiss.serialize_index(rabitq._graph(centres)).tobytes())
        assert faiss.omp_get_max_threads() == threads
    assert len(set(made)) == 1


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("alone", [0, 4])
def test_of_vectors_that_repeat_any_is_as_right_as_another(seed: int, alone: int, tmp_path: Path) -> None:
    """As those of frames of a film, or of cells that see a plain ground; ``alone`` of a query's nearest are not so."""
    rng = np.random.default_rng(seed)
    bases = rng.normal(size=(30, DIMENSIONS))
    near = bases[:, None] + 0.02 * rng.normal(size=(30, alone, DIMENSIONS))
    repeated = np.repeat(bases + (0.5 * rng.normal(size=bases.shape) if alone else 0), 300, axis=0)
    made = np.concatenate([near.reshape(-1, DIMENSIONS), repeated])
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    queries = made[: 30 * alone : alone] if alone else made[::300]
    made = made[rng.permutation(len(made))]
    trained = train_codes(made[:2000], 32, queries)
    part = fill(trained.index, iter(np.array_split(made, 3)), 0, trained.queries)
    about = write_inverted(tmp_path / "x.faiss", tmp_path / "x.lists", trained, [(0, part)])
    scores = trained.queries @ made.T
    wanted = 10 * about["candidates"]
    found = trained.index.search(trained.queries, wanted, params=ivf.probing(trained.index, about["probes"]))[1]
    shares = []
    for of_query, candidates in zip(scores, found, strict=True):
        nearer = np.flatnonzero(of_query > np.sort(of_query)[-11] + 1e-6)
        assert len(nearer) == alone
        shares.append(np.isin(nearer, candidates).mean() if alone else 1)
    assert about["recall_at_10"] == pytest.approx(np.mean(shares))
    assert about["recall_at_10"] >= (0.8 if alone else 1)
    assert (about["probes"], about["candidates"]) == (1, 1) or alone


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made = np.random.default_rng(0).random((COUNT, DIMENSIONS), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    path = tmp_path_factory.mktemp("written") / "layer.faiss"
    trained = train_codes(made, ivf.list_count(COUNT), made[:64])
    part = fill(trained.index, iter([made]), 0, trained.queries)
    write_inverted(path, path.with_suffix(".lists"), trained, [(0, part)])
    return path, path.with_suffix(".lists")


def parts_of_the_graph(data: bytes) -> dict[str, int]:
    """Where its arrays begin, behind their lengths."""
    place = data.index(b"IHNf") + 4 + struct.calcsize("<iqqqBi")
    places = {}
    for name, width in (("shares", 8), ("room", 4), ("levels", 4), ("offsets", 8), ("neighbours", 4)):
        (length,) = struct.unpack_from("<Q", data, place)
        places[name] = place + 8
        place += 8 + length * width
    return places | {"entry": place, "highest": place + 4, "searched": place + 12}


def highest_node(data: bytes) -> int:
    return struct.unpack_from("<i", data, parts_of_the_graph(data)["entry"])[0]


def lowest_node(data: bytes) -> int:
    """One that is on the lowest level only."""
    places = parts_of_the_graph(data)
    nodes = struct.unpack_from("<Q", data, places["levels"] - 8)[0]
    return struct.unpack_from(f"<{nodes}i", data, places["levels"]).index(1)


def above(data: bytes) -> int:
    """Where the first neighbour, on the second level, of the highest node is."""
    places = parts_of_the_graph(data)
    (start,) = struct.unpack_from("<Q", data, places["offsets"] + 8 * highest_node(data))
    return places["neighbours"] + 4 * (start + 2 * rabitq.NEIGHBOURS)


@pytest.mark.parametrize(
    ("layout", "place", "value"),
    [
        ("<i", lambda data: parts_of_the_graph(data)["entry"], 64),
        ("<i", lambda data: parts_of_the_graph(data)["entry"], -1),
        ("<i", lambda data: parts_of_the_graph(data)["entry"], lowest_node),
        ("<i", lambda data: parts_of_the_graph(data)["highest"], 7),
        ("<i", lambda data: parts_of_the_graph(data)["searched"], 2**30),
        ("<i", lambda data: parts_of_the_graph(data)["neighbours"], 64),
        ("<i", lambda data: parts_of_the_graph(data)["neighbours"], -2),
        ("<i", above, lowest_node),
        ("<i", lambda data: parts_of_the_graph(data)["levels"], 3),
        ("<i", lambda data: parts_of_the_graph(data)["levels"], 0),
        ("<i", lambda data: parts_of_the_graph(data)["levels"], 2**31 - 1),
        ("<i", lambda data: parts_of_the_graph(data)["room"] + 4, 32),
        ("<Q", lambda data: parts_of_the_graph(data)["offsets"] + 8, 2**40),
        ("<Q", lambda data: parts_of_the_graph(data)["neighbours"] - 8, 2**40),
        ("<Q", lambda data: parts_of_the_graph(data)["shares"] - 8, 2**61),
        ("<f", lambda data: data.index(b"rrot") + 4 + 1 + 8, float("nan")),
        ("<f", lambda data: data.index(b"rrot") + 4 + 1 + 8, 1e30),
        ("<f", lambda data: data.index(b"IxFI") + 4 + 33 + 8, float("inf")),
        ("<i", lambda data: data.index(b"IxPT") + 4 + 33, 2),
        ("<B", lambda data: data.index(b"ilod") - 1, 9),
    ],
)  # fmt: skip
def test_what_leads_out_of_a_graph_is_refused(
    written: tuple[Path, Path], tmp_path: Path, layout: str, place: Callable[[bytes], int], value: float | Callable
) -> None:
    path, lists = written
    data = bytearray(path.read_bytes())
    check_vectors(path, lists, DIMENSIONS, COUNT)
    number = value(bytes(data)) if callable(value) else value
    where = place(bytes(data))
    assert struct.unpack_from(layout, data, where) != (number,)
    struct.pack_into(layout, data, where, number)
    changed = tmp_path / "changed.faiss"
    changed.write_bytes(data)
    with pytest.raises(WrongVectors):
        check_vectors(changed, lists, DIMENSIONS, COUNT)
