"""Questions to an index, in this process and over HTTP beside the same server's ``/healthz``.

python -m benchmarks.questions INDEX --layer features.12 [--out FILE]
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import indexer
from benchmarks import clients
from benchmarks.clients import Address, Ask
from indexer.derive.nearest.ivf import probing
from indexer.query.index import Index

ASKED = 40
FAISS_QUERIES = 32


@dataclass(frozen=True)
class Answer:
    """Milliseconds of each asking, and answers a second to all clients together where that was measured."""

    name: str
    milliseconds: list[float]
    per_second: float | None = None
    note: str = ""

    def line(self) -> str:
        times = sorted(self.milliseconds)
        rate = "" if self.per_second is None else f"{self.per_second:.0f}"
        return (
            f"| {self.name} | {statistics.median(times):.2f} | {times[int(0.9 * len(times))]:.2f} | {rate} "
            f"| {self.note} |"
        )


def timed(name: str, ask: Callable[[int], object], note: str = "", times: int | None = None) -> Answer:
    """Ask ``times`` (`ASKED`) times, each time something else, after one time that is not counted."""
    taken = []
    for number in range((times or ASKED) + 1):
        started = time.perf_counter()
        ask(number)
        taken.append(1e3 * (time.perf_counter() - started))
    return Answer(name, taken[1:], note=note)


def in_process(index: Index, layer: str) -> Iterator[Answer]:
    """What a notebook waits for."""
    found = index.layers[layer]
    neurons, images = found.info.channels, len(index.images)
    class_ = next(name for name in index.classes if name)
    deep = min(9 * 10_000, images - 9)
    yield timed("top patches, first page", lambda n: index.top_patches(layer, n % neurons, limit=9))
    yield timed("… page 10,000", lambda n: index.top_patches(layer, n % neurons, limit=9, offset=deep))
    yield timed("… of a class", lambda n: index.top_patches(layer, n % neurons, limit=9, class_=class_))
    yield timed("neurons firing on an image", lambda n: index.neurons_firing(n * 97 % images, layer=layer, limit=9))
    yield apart(index, layer)
    about = json.dumps(index.manifest.vectors[layer])
    yield timed("nearest patches", lambda n: index.similar(layer, n * 97 % images, 0, 0, limit=10), about)
    exactly = lambda n: index.similar(layer, n * 97 % images, 0, 0, limit=10, exact=True)  # noqa: E731
    yield timed("… none left out (exact)", exactly, times=2)  # of codes, all maps are read
    yield faiss_alone(index, layer)


def apart(index: Index, layer: str) -> Answer:
    """The top 100 of all cells that do not overlap much, and how many of the maps are read for it."""
    count = index.layers[layer].info.channels
    read, real = [], index._read_map
    index._read_map = lambda *place: read.append(place) or real(*place)
    options = {"limit": 100, "per_image": "all", "iou": 0.3}
    answer = timed("all cells, top 100, apart", lambda n: index.top_patches(layer, n % count, **options), times=20)
    del index._read_map
    share = 100 * len(read) / 21 / len(index.images)  # with the one that is not counted
    return Answer(answer.name, answer.milliseconds, note=f"{share:.3g} % of the neuron's maps read")


def faiss_alone(index: Index, layer: str) -> Answer:
    """FAISS alone: the ten nearest of vectors that it holds, or as many candidates as codes need for them."""
    vectors = index.layers[layer].vectors()
    rows = np.linspace(0, vectors.ntotal - 1, FAISS_QUERIES).astype(int)
    per_image = len(index.layers[layer].grid)
    queries = np.concatenate([index.activation_maps(int(index.images.id[row // per_image]), layer)
                              .reshape(vectors.d, -1)[:, index.layers[layer].grid[row % per_image]][None]
                              for row in rows]).astype(np.float32)  # fmt: skip
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-30)
    about = index.manifest.vectors[layer]
    probes, wanted = about.get("probes"), 10 * about.get("candidates", 1)
    quick = probing(vectors, probes) if probes else None
    return timed(
        "FAISS alone, ten nearest", lambda n: vectors.search(queries[n % len(rows)][None], wanted, params=quick)
    )


def over_http(address: Address, name: str, layer: str, classes: list[str], images: int) -> Iterator[Answer]:
    """What a client on the same machine waits for: one client's times, then how many answers four clients get."""
    api = f"/v1/indexes/{name}"
    patches = f"{api}/layers/{layer}/neurons/{{}}/patches?limit=9"
    deep = min(9 * 10_000, images - 9)
    yield asked(address, "/healthz", lambda n: "/healthz")
    yield asked(address, "top patches, first page", lambda n: patches.format(n % 512))
    yield asked(address, "… page 10,000", lambda n: patches.format(n % 512) + f"&offset={deep}")
    yield asked(address, "… of a class", lambda n: patches.format(n % 512) + f"&class={classes[0]}")
    yield asked(address, "neurons firing on an image", lambda n: f"{api}/images/{n * 97 % images}/neurons?limit=9")
    cells = f"{api}/images/{{}}/layers/{layer}/cells/0,0"
    yield asked(address, "nearest patches", lambda n: cells.format(n * 97 % images) + "/similar?limit=10")
    yield asked(address, "a crop", lambda n: cells.format(n * 89 % images) + "/patch.jpg")


def asked(address: Address, name: str, path: Ask) -> Answer:
    connection = clients.connect(address)
    answer = timed(name, lambda n: clients.get(connection, path(n)))
    connection.close()
    return Answer(name, answer.milliseconds, clients.per_second(address, path))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", default="features.12")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/questions.json"))
    options = parser.parse_args(arguments)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with indexer.open(options.index) as index:
        opened = time.perf_counter() - started
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        images, names = len(index.images), [name for name in index.classes if name]
        print(f"\n{images:,} images, {os.cpu_count()} cores; opened in {opened:.2f} s and {memory:.0f} MB")
        print("\n| in this process | p50 ms | p90 ms | a second | |\n| --- | --- | --- | --- | --- |", flush=True)
        answers = _print(in_process(index, options.layer))
    print(f"\n| over HTTP | p50 ms | p90 ms | a second, {clients.CLIENTS} clients | |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    with clients.serving(options.index) as address:
        answers += _print(over_http(address, options.index.name, options.layer, names, images))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figures = {"images": images, "open_seconds": opened, "open_megabytes": memory}
    options.out.write_text(json.dumps(figures | {"answers": [asdict(answer) for answer in answers]}, indent=1))


def _print(answers: Iterator[Answer]) -> list[Answer]:
    kept = []
    for answer in answers:
        print(answer.line(), flush=True)
        kept.append(answer)
    return kept


if __name__ == "__main__":
    main()
