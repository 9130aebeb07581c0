"""The benchmarks run, at toy size; what they measure is for a quiet machine."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import AlexNet_Weights

import indexer
from benchmarks import (
    beside,
    codes,
    decoding,
    dissection,
    engine,
    fields,
    forward,
    generate,
    growth,
    indexing,
    jobs,
    limited,
    measure,
    packages,
    peers,
    questions,
    sketch,
    stages,
    why,
)  # fmt: skip
from indexer.images.listing import list_images
from indexer.network.models import load_model
from tests.conftest import INPUT, write_photos
from tests.effective import LAYER, build_effective


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=4, count=6)


@pytest.mark.slow
def test_indexing_is_measured(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    cases = [
        indexing.Case("squeezenet1_1", "features.2", 3, ("floor", "sketch", "captum")),
        indexing.Case("resnet18", "layer1", 8, ("floor", "float32"), "float32-folded"),
    ]
    monkeypatch.setattr(indexing, "CASES", cases)
    out = tmp_path / "figures.json"
    indexing.main(["--images", str(photos), "--limit", "7", "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    assert [row["name"].partition(": ")[2] for row in rows] == [
        "everything kept / floor", f"everything kept / {indexing.PEERS['sketch'][0]}", "everything kept / captum AV",
        "everything kept / floor", "everything kept / the same in float32",
    ]  # fmt: skip
    assert [row["name"].count("(7 images)") for row in rows][-2:] == [1, 1]  # of six photographs
    assert float(rows[-3]["note"].rpartition(" ")[2]) == pytest.approx(64 * 55 * 55 * 4 / 1e3, abs=5)
    assert all(min(row["reference"] + row["measured"]) > 0 for row in rows)
    assert rows[0]["name"] in capsys.readouterr().out


@pytest.mark.slow
def test_keeping_is_measured_without_decoding(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 2)
    monkeypatch.setattr(forward, "SHARD", 16)
    monkeypatch.setattr(forward, "CASES", [forward.Case("squeezenet1_1", "features.2,features.3")])
    kept: list[int] = []
    real = forward.write_shards
    monkeypatch.setattr(forward, "write_shards", lambda *given: kept.append(sum(made.rows for made in real(*given))))
    out = tmp_path / "figures.json"
    forward.main(["--images", str(photos), "--device", "cpu", "--batch", "3", "--out", str(out)])
    [row] = json.loads(out.read_text())["rows"]
    count = int(row["name"].partition("(")[2].partition(" ")[0])
    assert kept == [count] * 3  # two rounds after one that is not counted
    assert len(row["measured"]) == len(row["reference"]) == 2


def run_of(photos: Path) -> peers.Run:
    """Maps of 2 x 3 cells from input of 96 x 128 pixels."""
    loaded, listing = load_model("alexnet", "none"), list_images(photos)
    preprocessing = replace(loaded.preprocessing, resize=(110,), crop=INPUT)
    return peers.Run(listing.root, listing.files, loaded.module, "features.12", preprocessing, torch.device("cpu"))


def enlarging(cells: int, pixels: int) -> np.ndarray:
    """Linear interpolation (pixels, cells) between the centres of cells, as a matrix."""
    centres = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    return np.stack([np.interp(centres, np.arange(cells), one) for one in np.eye(cells)], axis=1)


@pytest.mark.slow
def test_peers_find_what_numpy_finds_in_all_maps(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "BATCH", 4)
    monkeypatch.setattr(dissection, "FRACTION", 0.1)
    monkeypatch.setattr(peers, "KEPT", 3)
    monkeypatch.setattr(dissection, "KEPT", 3)
    run = run_of(photos)
    maps = np.concatenate([batch.numpy() for batch in run.maps()])
    highest = np.sort(maps.max((2, 3)), axis=0)[::-1][:3]
    cells = maps.transpose(1, 0, 2, 3).reshape(256, -1)
    assert maps.shape == (6, 256, 2, 3)
    np.testing.assert_array_equal(peers.top_k(run).numpy(), highest)

    top, thresholds = dissection.top_k_and_sketch(run)
    np.testing.assert_array_equal(top.numpy(), highest)
    np.testing.assert_allclose(thresholds, np.quantile(cells, 0.9, axis=1, method="hazen"), rtol=1e-5)
    exactly, limits = dissection.kept_quantiles(run)
    np.testing.assert_array_equal(exactly, highest)
    np.testing.assert_allclose(limits, np.quantile(cells.astype(float), 0.9, axis=1))

    down, across = enlarging(2, INPUT[0]), enlarging(3, INPUT[1])
    large = down @ maps @ across.T
    for masks, levels in ((dissection.kept_masks, limits), (dissection.masks_again, thresholds)):
        pixels = (large > levels[:, None, None]).sum((0, 2, 3))
        assert pixels.sum() > 1000
        np.testing.assert_allclose(masks(run), pixels, atol=3)


def test_a_sketch_keeps_its_bound() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([np.maximum(rng.standard_normal(20_000), 0), np.arange(20_000), rng.permutation(20_000) % 7])
    fractions = np.array([0.0, 0.01, 0.3, 0.5, 0.9, 0.995, 1.0])
    few = sketch.Sketch(3, 256)
    for part in torch.from_numpy(values.T).float().split(541):
        few.add(part)
    assert few.bound == 7 / 256
    for found, own in zip(few.quantiles(list(fractions)), values.astype(np.float32), strict=True):
        assert np.all([(own < value).mean() for value in found] <= fractions + few.bound)
        assert np.all([(own <= value).mean() for value in found] >= fractions - few.bound)


def test_ways_to_decode_are_compared(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr(decoding, "LARGE_SIDE", 600)
    out = tmp_path / "figures.json"
    for number, photo in enumerate(list_images(photos).files[:3]):
        Image.open(photos / photo.path).convert("RGB").resize((500, 320)).save(tmp_path / f"{number}.jpg")
    decoding.main(["--images", str(tmp_path), "--out", str(out)])
    figures = json.loads(out.read_text())
    assert min(figures.pop("stages").values()) > 0
    assert len(figures) == 2
    for rows in figures.values():
        found = {row["way"]: row for row in rows}
        assert found["as indexed: Pillow"]["by at most"] == 0
        assert found["Pillow decodes, torchvision resizes"]["by at most"] <= 2
        assert min(row["ms an image"] for row in rows) > 0


def test_packages_are_given_what_torchvision_makes_of_images(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[torch.Tensor] = []
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr(packages, "CASE", indexing.Case("alexnet", "features.2"))
    monkeypatch.setattr(
        packages, "ways", lambda images, layer: {"looking": lambda: given.extend(image for image, _ in images)}
    )
    packages.main(["--images", str(photos), "--limit", "3", "--out", str(tmp_path / "figures.json")])
    assert json.loads((tmp_path / "figures.json").read_text())["rows"][0]["name"].endswith("/ looking")
    prepare = AlexNet_Weights.IMAGENET1K_V1.transforms()
    files = sorted(path for path in photos.rglob("*") if path.suffix in (".jpg", ".png"))[:3]
    expected = [prepare(Image.open(path).convert("RGB")) for path in files]
    for image, right in zip(given[:3], expected, strict=True):
        torch.testing.assert_close(image, right)


@pytest.mark.slow
def test_a_generated_index_answers(small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(questions, "ASKED", 2)
    monkeypatch.setattr("benchmarks.clients.SECONDS", 0.1)
    monkeypatch.setattr(generate, "SHARD", 30)
    monkeypatch.setattr(generate, "BATCH", 16)
    layer = "features.12"
    generate.main(["--source", str(small_index), "--layer", layer, "--images", "70", "--out", str(tmp_path / "many")])
    questions.main([str(tmp_path / "many"), "--layer", layer, "--out", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["images"] == 70
    assert [answer["name"] for answer in figures["answers"]].count("/healthz") == 1
    assert "70 images" in capsys.readouterr().out


@pytest.mark.slow
def test_questions_are_measured_beside_others(
    small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr("benchmarks.clients.SECONDS", 0.1)
    monkeypatch.setattr(beside, "CROPS", 2)
    monkeypatch.setattr(beside, "LOOKUPS", 2)
    vectors, out = tmp_path / "vectors", tmp_path / "figures.json"
    sizes = ["--images", "7", "--side", "3", "--neurons", "20"]
    generate.main(["--source", str(small_index), *sizes, "--out", str(vectors)])
    with indexer.open(vectors) as index:
        assert index.layers["features.12"].vectors().ntotal == 7 * 9
        assert index.activation_maps(6, "features.12").shape == (20, 3, 3)
        assert (index.layers["features.12"].peaks[:, 6] == index.activation_maps(6, "features.12").max((1, 2))).all()
    monkeypatch.setattr(beside, "NEAREST", 5)
    beside.main([str(vectors), "--real", str(small_index), "--vectors", str(vectors), "--out", str(out)])
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 11
    assert all(min(row["reference"] + row["measured"]) > 0 for row in rows)
    assert rows[-1]["name"] in capsys.readouterr().out


@pytest.mark.slow
def test_growth_is_measured_by_stage(
    photos: Path, small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(growth, "in_own_process", lambda work, *arguments: work(*arguments))
    monkeypatch.setattr(growth, "ASKED", 3)
    out = tmp_path / "figures.json"
    growth.main(["--images", str(photos), "--counts", "9", "--out", str(out)])
    (costs,) = json.loads(out.read_text()).values()
    assert list(costs)[:4] == ["indexing", "deriving but FAISS", "FAISS", "opening"]
    assert min(cost[of] for cost in costs.values() for of in ("seconds", "cpu")) > 0
    growth.main(["--generated", str(small_index), "--side", "2", "--counts", "9", "18", "--out", str(out)])
    few, more = json.loads(out.read_text()).values()
    assert list(few) == list(more) == ["generating shards", *list(costs)[1:]]
    assert "| FAISS |" in capsys.readouterr().out
    assert growth.exponent([10, 100, 1000], [3, 30, 300]) == pytest.approx(1)


def test_memory_of_a_stage_is_seen() -> None:
    with stages.Watch() as watch:
        watch.stage("small")
        watch.stage("large")
        many = np.ones(1 << 24)
        watch.stage("after")
        del many
    assert watch.costs["large"].own - watch.costs["small"].own > 120
    assert list(watch.costs) == ["small", "large", "after"]


@pytest.mark.slow
def test_the_engine_is_measured(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measure.ROUNDS", 1)
    monkeypatch.setattr(engine, "SHARD", 3)
    cores, out = os.sched_getaffinity(0), tmp_path / "figures.json"
    engine.main(["--images", str(photos), "--out", str(out)])
    assert [row["name"] for row in json.loads(out.read_text())["rows"]] == [
        "one worker / here, all shards in one go", "one worker / here, shard after shard", "two workers / one worker",
        "deriving: one worker / here",
    ]  # fmt: skip
    assert os.sched_getaffinity(0) == cores


def test_questions_are_asked_within_a_limit(small_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "ASKED", 2)
    found, again = (limited.ask(small_index, "features.7") for _ in range(2))
    assert found["answers"] == again["answers"]
    assert found["index bytes"] == sum(path.stat().st_size for path in small_index.rglob("*") if path.is_file())
    assert [[len(times) for times in kind.values()] for kind in found["ms"].values()] == [[2, 2, 2]] * 3


def test_ways_to_keep_vectors_are_compared(small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "QUERIES", 20)
    kinds = ["float16", "RaBitQ, 2 bits, turned", "as indexed: RaBitQ, turned, graph"]
    out = tmp_path / "figures.json"
    codes.main([str(small_index), "--layer", "features.7", "--images", "9", "--kinds", *kinds, "--out", str(out)])
    rows = json.loads(out.read_text())
    assert [(row["kind"], row["probes"]) for row in rows] == [(kind, n) for kind in kinds for n in codes.PROBES]
    assert [row["bytes"] for row in rows[:: len(codes.PROBES)]] == [512, 256 // 8 * 2 + 20, 256 // 8 + 8]
    most = [row for row in rows if row["probes"] == 64]
    assert min(row["of 100"] for row in most) > 0.9
    assert min(row["ms"] for row in rows) > 0


def test_why_and_what_if_are_measured(small_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ROUNDS", 1)
    out = tmp_path / "figures.json"
    assert why.main([str(small_index), "--layer", "features.12", "--rest", "classifier", "--out", str(out)]) == 0
    assert [len(row["measured"]) for row in json.loads(out.read_text())] == [1, 1]
    with indexer.open(small_index) as index:
        before, after = why.by_hand(index, index.network(), "features.12", ["classifier"])()
        assert before.tolist() == np.asarray(index.layer("classifier").peaks).argmax(axis=0).tolist()
        assert after.shape == before.shape


def test_what_is_outside_of_a_field_is_painted_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = build_effective(tmp_path), tmp_path / "figures.json"
    assert fields.main([str(folder), "--layer", LAYER, "--out", str(out)]) == 0
    assert "units on 3 held-out images" in capsys.readouterr().out
    effective, _, exact, exact_too, middle, _ = json.loads(out.read_text())
    assert max(exact["percentile_95"], exact_too["percentile_95"]) < 1e-5
    assert 0 < effective["median"] < 0.2
    assert effective["area"] == middle["area"] < exact["area"] / 2
    with indexer.open(folder) as index:
        network = index.network()
        unit = fields.units_of(index, LAYER, fields.held_out(index, LAYER), 1, 0)[0]
        box = index.effective_field(LAYER).box(unit.y, unit.x)
        preprocessing = index.manifest.configuration.preprocessing
        pixels = preprocessing.pixels(index.picture(index.image(int(index.images.id[unit.row]))))
        painted = np.full_like(pixels, 128)
        for y in range(box.top, box.bottom):
            for x in range(box.left, box.right):
                painted[y, x] = pixels[y, x]
        maps = network.run(painted[None], lambda layer, output: output.numpy().copy())[LAYER]
        found = fields.activations(index, network, LAYER, [unit], [box], lambda pixels: np.full(3, 128.2))
        np.testing.assert_allclose(found, maps[0, unit.neuron, unit.y, unit.x])


class FewJobs:
    """Notes what is done to jobs."""

    def __init__(self, said: list[object]) -> None:
        self.said = said

    def start(self, number: int) -> str:
        self.said.append(f"start {number}")
        return f"/{number}"

    def check_running(self, url: str) -> None:
        self.said.append(f"runs {url}")

    def end(self, url: str) -> None:
        self.said.append(f"end {url}")


def test_what_is_asked_beside_a_job_is_asked_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ROUNDS", 1)
    said: list[object] = []
    row = jobs.beside("asked", FewJobs(said), 2, said.append)
    assert said == [
        0, 1, "start 0", 0, 1, "runs /0", "end /0",
        2, 3, "start 1", 2, 3, "runs /1", "end /1",
    ]  # fmt: skip
    assert (row.name, len(row.reference), len(row.measured)) == ("asked", 1, 1)
