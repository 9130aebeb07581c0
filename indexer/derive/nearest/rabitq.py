"""An inverted file of one bit for each number, for more vectors than are kept as float16.

A random rotation first spreads the activations of a few neurons over all numbers of a vector. A code then keeps the
signs of the vector's difference from the centre of its list, and two lengths (RaBitQ, Gao and Long 2024). Codes only
propose candidates, more than are wanted; scores from the kept maps decide among them.

A graph over the centres (HNSW) finds a vector's list. Comparing every vector with every centre would cost more than all
the rest.

Few vectors are scanned quickly, so few lists do, and training them takes next to no time: `few_lists`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np

from indexer.derive.nearest import faiss_gpu
from indexer.derive.nearest.ivf import Trained, list_count

FACTORS = (1, 2, 3, 5, 10)
"""How many candidates may be asked for, as multiples of the cells that are wanted."""
FEW_LISTS = 16
NEIGHBOURS = 32
_SEARCHED = 32
"""How many of the nearest centres a search of the graph keeps as it goes."""
_SEED = 1


def few_lists(count: int) -> int:
    """How many lists an index of ``count`` vectors has if they are soon scanned."""
    return min(FEW_LISTS, list_count(count))


def train_codes(sample: np.ndarray, number: int, queries: np.ndarray) -> Trained:
    """An inverted file of codes in so many lists, trained on a sample (S, C) float32 of vectors; see `Trained`."""
    dimensions = sample.shape[1]
    rotation = faiss.RandomRotationMatrix(dimensions, dimensions)
    with _one_thread():  # several would wait for each other at each of many small steps: seconds instead of 0.1
        rotation.init(_SEED)
    lists = faiss.IndexIVFRaBitQ(
        _graph(rotation.apply(_centres(sample, number))), dimensions, number, faiss.METRIC_INNER_PRODUCT
    )
    index = faiss.IndexPreTransform(rotation, lists)
    index.train(sample[:1])  # FAISS wants the call, but codes need no training
    return Trained(index, queries, f"IVF{number}_HNSW{NEIGHBOURS}, RaBitQ", FACTORS)


def _centres(sample: np.ndarray, number: int) -> np.ndarray:
    """Centres (number, C) of unit length, by k-means."""
    parameters = faiss.ClusteringParameters()
    parameters.spherical, parameters.niter = True, 10
    parameters.min_points_per_centroid = 1  # no warning about the bounded sample: recall is measured anyway
    clustering = faiss.Clustering(sample.shape[1], number, parameters)
    clustering.train(sample, faiss_gpu.flat(sample.shape[1]))
    centres: np.ndarray = faiss.vector_to_array(clustering.centroids).reshape(number, -1)
    return centres


def _graph(centres: np.ndarray) -> faiss.IndexHNSWFlat:
    graph = faiss.IndexHNSWFlat(centres.shape[1], NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efSearch = _SEARCHED
    with _one_thread():  # with several threads, the links would differ each time
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
