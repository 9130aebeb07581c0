"""An inverted file of one bit a number, for indexes whose vectors are too many to be kept as they are.

Vectors are turned by a random rotation, which spreads what few neurons say over all numbers; of the difference from the
centre of its list a code then keeps the signs and two lengths (RaBitQ, Gao and Long 2024). Such codes only name
candidates, more than are wanted, and the kept maps decide between them.

Lists are found through a graph over their centres (HNSW), as comparing every vector with every centre would cost more
than all else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np

from indexer.derive import faiss_gpu
from indexer.derive.ivf import Trained, list_count, spread

FACTORS = (1, 2, 3, 5, 10)
"""How many times as many candidates as cells that are wanted may be asked for."""
NEIGHBOURS = 32
_SEARCHED = 32
"""Centres that a search of the graph keeps in view."""
_SEED = 1


def train_codes(sample: np.ndarray, count: int, queries: np.ndarray) -> Trained:
    """An inverted file of codes for ``count`` vectors, trained on some of them (S, C) float32; see `Trained`."""
    dimensions, number = sample.shape[1], list_count(count)
    rotation = faiss.RandomRotationMatrix(dimensions, dimensions)
    rotation.init(_SEED)
    lists = faiss.IndexIVFRaBitQ(
        _graph(rotation.apply(_centres(sample, number))), dimensions, number, faiss.METRIC_INNER_PRODUCT
    )
    index = faiss.IndexPreTransform(rotation, lists)
    index.train(sample[:1])  # codes need none
    return Trained(index, queries, f"IVF{number}_HNSW{NEIGHBOURS}, RaBitQ", FACTORS)


def _centres(sample: np.ndarray, number: int) -> np.ndarray:
    """Centres (number, C) of unit length, by k-means."""
    parameters = faiss.ClusteringParameters()
    parameters.spherical, parameters.niter = True, 10
    parameters.min_points_per_centroid = 1  # it is the sample's size that is bounded, and the recall is measured
    clustering = faiss.Clustering(sample.shape[1], number, parameters)
    clustering.train(spread(sample, number), faiss_gpu.flat(sample.shape[1]))
    centres: np.ndarray = faiss.vector_to_array(clustering.centroids).reshape(number, -1)
    return centres


def _graph(centres: np.ndarray) -> faiss.IndexHNSWFlat:
    graph = faiss.IndexHNSWFlat(centres.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efSearch = _SEARCHED
    with _one_thread():  # more would link it otherwise each time
        graph.add(centres)
    return graph


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
