"""What a GPU computes and keeps is what the CPU does, but for rounding. Nothing of it runs where there is none."""

from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch

import indexer
from indexer.derive.nearest import faiss_gpu, ivf, rabitq
from indexer.jobs.build import build
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.shards import reduce_gpu
from indexer.shards.counting import Counter
from indexer.shards.maps.packer import packed
from indexer.shards.reader import Shard
from indexer.shards.reduce import reduce_maps
from tests.conftest import build_request, write_photos
from tests.indexer.test_reduce import halves_of, maps_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU, CPU = torch.device("cuda"), torch.device("cpu")
LAYERS = ("features.4", "features.12")


def squeezenet(device: torch.device, precision: str = "float32") -> Network:
    torch.manual_seed(0)
    return Network(load_model("squeezenet1_1", "none"), LAYERS, device, precision)


def pixels(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), np.uint8)


def furthest(device: torch.device, precision: str) -> float:
    """Of an activation from that of the CPU, as a share of the highest."""
    own = lambda layer, maps: maps.to("cpu", torch.float32, copy=True).numpy()  # noqa: E731
    exact, found = squeezenet(CPU).run(pixels(1), own), squeezenet(device, precision).run(pixels(1), own)
    return max(float(np.abs(exact[layer] - found[layer]).max() / exact[layer].max()) for layer in LAYERS)


def test_float32_is_float32_and_tf32_is_not() -> None:
    """In any order, for one setting of the process decides."""
    assert furthest(GPU, "tf32") > 1e-4
    assert furthest(GPU, "float32") < 1e-5
    assert furthest(GPU, "tf32") > 1e-4
    assert furthest(CPU, "tf32") < 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_is_reduced_as_on_the_cpu(seed: int) -> None:
    maps = torch.from_numpy(maps_of(seed)).contiguous(memory_format=torch.channels_last)
    table = reduce_gpu.CountTable(5, GPU)
    found = reduce_gpu.start(maps.to(GPU), table).batch("layer", ["image"] * 6)
    expected = reduce_maps("layer", maps, ["image"] * 6)
    np.testing.assert_array_equal(halves_of(found), halves_of(expected))
    for name in ("peaks", "peak_cells", "saturated"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    counter = Counter(5)
    counter.count(expected.maps)
    np.testing.assert_array_equal(table.histogram().keys, counter.histogram().keys)
    np.testing.assert_array_equal(table.histogram().counts, counter.histogram().counts)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Indexes of the same photographs: two made on the GPU, one on the CPU."""
    folder = tmp_path_factory.mktemp("gpu")
    photos = write_photos(folder / "photos", seed=3, count=40)
    for name, device in (("gpu", "cuda"), ("again", "cuda"), ("cpu", "cpu")):
        request = build_request(photos, layers=LAYERS, shard_size=16, batch_size=5)
        build(folder / name, replace(request, device=device))
    return folder


def test_an_index_is_the_same_each_time(built: Path) -> None:
    for shard in (built / "gpu" / "shards").iterdir():
        assert shard.read_bytes() == (built / "again" / "shards" / shard.name).read_bytes()


def test_a_shard_of_a_gpu_agrees_with_itself(built: Path) -> None:
    for file in (built / "gpu" / "shards").iterdir():
        with Shard(file, file.name) as shard:
            for layer in LAYERS:
                maps = np.stack([shard.maps(layer, row) for row in range(shard.rows)])
                peaks, cells = shard.peaks(layer)
                flat = maps.reshape(*maps.shape[:2], -1)
                np.testing.assert_array_equal(peaks.T.astype(np.float16), flat.max(axis=2))
                at_peak = np.take_along_axis(flat, cells.T[:, :, None].astype(np.int64), 2)[:, :, 0]
                np.testing.assert_array_equal(at_peak, flat.max(axis=2))
                counter = Counter(maps.shape[1])
                counter.count([packed(image) for image in maps])
                np.testing.assert_array_equal(shard.histogram(layer).keys, counter.histogram().keys)
                np.testing.assert_array_equal(shard.histogram(layer).counts, counter.histogram().counts)


def test_answers_are_those_of_the_cpu(built: Path) -> None:
    with indexer.open(built / "gpu") as gpu, indexer.open(built / "cpu") as cpu:
        for neuron in (0, 7, 100):
            found, expected = (index.top_patches("features.12", neuron, limit=5).items for index in (gpu, cpu))
            np.testing.assert_allclose([p.activation for p in found], [p.activation for p in expected], rtol=1e-4)


@pytest.mark.parametrize("lists_of", [rabitq.few_lists, ivf.list_count])
def test_lists_of_a_gpu_hold_everything_near(lists_of) -> None:
    assert faiss.get_num_gpus()
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(20_000, 48)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    trained = rabitq.train_codes(vectors, lists_of(len(vectors)), vectors[:50])
    parts = [faiss.clone_index(trained.index) for _ in range(2)]
    parts[0].add_with_ids(vectors, np.arange(20_000))
    adding = faiss_gpu.Adding(parts[1])
    adding.add(vectors[:7000], np.arange(7000))
    adding.add(vectors[7000:], np.arange(7000, 20_000))
    lists = faiss.extract_index_ivf(parts[1])
    assert lists.ntotal == parts[0].ntotal
    parts[1].ntotal = lists.ntotal
    _, exact = faiss_gpu.knn(vectors[:200], vectors, 10)
    np.testing.assert_array_equal(exact[:, 0], np.arange(200))
    found = [part.search(vectors[:200], 100, params=ivf.probing(part, lists.nlist))[1] for part in parts]
    recalls = [np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, of_part, strict=True)]) for of_part in found]
    assert recalls[1] == pytest.approx(recalls[0], abs=0.01)
