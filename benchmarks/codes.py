"""Ways to keep the vectors of a layer in an inverted file: bytes, time, and how many of the ten nearest are candidates.

python -m benchmarks.codes INDEX --layer features.12 [--images 2500] [--kinds NAME ...] [--out FILE]

The vectors are those of the first images of an index, the queries some of them. All kinds have the same number of
lists; candidates are scored from the maps afterwards, so what counts is which are among them.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np

import indexer
from indexer.derive.nearest.ivf import NEAREST, list_count, probing, training_vectors
from indexer.derive.nearest.rabitq import train_codes
from indexer.derive.nearest.vectors import unit_vectors
from indexer.query.index import Index

QUERIES = 256
PROBES = (8, 16, 32, 64)
CANDIDATES = (10, 20, 30, 50, 100)
_BLOCK = 1 << 15

Make = Callable[[np.ndarray, int], faiss.Index]
"""A sample (S, C) float32 and the number of vectors -> a trained index."""


def by_name(name: str) -> Make:
    """What FAISS calls so, ``{lists}`` and ``{numbers}`` filled in."""

    def make(sample: np.ndarray, count: int) -> faiss.Index:
        numbers = sample.shape[1]
        full = name.format(lists=list_count(count), numbers=numbers)
        index = faiss.index_factory(numbers, full, faiss.METRIC_INNER_PRODUCT)
        index.train(sample)
        return index

    return make


KINDS: dict[str, Make] = {
    "float16": by_name("IVF{lists},SQfp16"),
    "8 bits": by_name("IVF{lists},SQ8"),
    "4 bits": by_name("IVF{lists},SQ4"),
    "PQ, 64 bytes": by_name("IVF{lists},PQ64"),
    "PQ, 32 bytes": by_name("IVF{lists},PQ32"),
    "RaBitQ, not turned": by_name("IVF{lists},RaBitQ"),
    "RaBitQ, 2 bits, turned": by_name("RR{numbers},IVF{lists},RaBitQ2"),
    "as indexed: RaBitQ, turned, graph": lambda sample, count: train_codes(sample, list_count(count), sample[:1]).index,
}


def active_vectors(index: Index, layer: str, images: int) -> np.ndarray:
    """Unit vectors (n, C) float16 of the cells of so many images where anything is active."""
    listed = index.find_images(limit=images).items
    maps = (index.activation_maps(image.id, layer).astype(np.float16) for image in listed)
    found = (unit_vectors(of_image) for of_image in maps)
    return np.concatenate([vectors[vectors.any(axis=1)].astype(np.float16) for vectors in found])


def exact_nearest(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Numbers (Q, 10) of the nearest."""
    heap = faiss.ResultHeap(len(queries), NEAREST, keep_max=True)
    for first, block in _blocks(vectors):
        scores, numbers = faiss.knn(queries, block, min(NEAREST, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        heap.add_result(scores, numbers + first)
    heap.finalize()
    return heap.I


def _blocks(vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for first in range(0, len(vectors), _BLOCK):
        yield first, vectors[first : first + _BLOCK].astype(np.float32)


def measure(kind: str, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray) -> Iterator[dict[str, Any]]:
    """A row for each number of probes, asked one query at a time on one thread."""
    wanted = min(len(vectors), training_vectors(list_count(len(vectors))))
    chosen = np.sort(np.random.default_rng(0).choice(len(vectors), wanted, replace=False))
    started = time.perf_counter()
    index = KINDS[kind](vectors[chosen].astype(np.float32), len(vectors))
    trained = time.perf_counter()
    for _, block in _blocks(vectors):
        index.add(block)
    added = time.perf_counter()
    about = {
        "kind": kind, "bytes": faiss.extract_index_ivf(index).code_size, "training s": trained - started,
        "adding s": added - trained,
    }  # fmt: skip
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    for probes in PROBES:
        yield about | {"probes": probes} | _asked(index, probes, queries, exact)
    faiss.omp_set_num_threads(threads)


def _asked(index: faiss.Index, probes: int, queries: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Milliseconds a query, and the share of the nearest among so many candidates."""
    parameters = probing(index, probes)
    started = time.perf_counter()
    found = [index.search(query[None], CANDIDATES[-1], params=parameters)[1][0] for query in queries]
    spent = time.perf_counter() - started
    shares = {f"of {most}": _share(exact, found, most) for most in CANDIDATES}
    return {"ms": spent * 1000 / len(queries)} | shares


def _share(exact: np.ndarray, found: list[np.ndarray], most: int) -> float:
    return float(np.mean([np.isin(right, near[:most]).mean() for right, near in zip(exact, found, strict=True)]))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--images", type=int, default=2500)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/codes.json"))
    options = parser.parse_args(arguments)
    with indexer.open(options.index) as index:
        vectors = active_vectors(index, options.layer, options.images)
    places = np.random.default_rng(1).choice(len(vectors), min(QUERIES, len(vectors)), replace=False)
    queries = vectors[places].astype(np.float32)
    exact = exact_nearest(vectors, queries)
    rows: list[dict[str, Any]] = []
    print(f"\n{len(vectors):,} vectors of {vectors.shape[1]} numbers\n")
    for kind in options.kinds:
        for row in measure(kind, vectors, queries, exact):
            if not rows:
                print(f"| {' | '.join(row)} |\n|{' --- |' * len(row)}")
            rows.append(row)
            print("| " + " | ".join(_shown(value) for value in row.values()) + " |", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1))


def _shown(value: float | str) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
