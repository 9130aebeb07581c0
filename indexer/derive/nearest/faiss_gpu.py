"""FAISS on a GPU if it sees one, otherwise on the CPU: k-means, the nearest centres, the exact nearest vectors.

FAISS sees the GPUs that CUDA_VISIBLE_DEVICES allows, whichever device the network runs on. A GPU adds numbers in
another order, so a vector between two centres may land in the other one's list. Recall is measured all the same.
"""

import threading

import faiss
import numpy as np

_TEMPORARY = 256 << 20
"""Bytes that FAISS sets aside for each thread on the GPU; by default it takes 1.5 GB."""
_own = threading.local()


def flat(dimensions: int) -> faiss.Index:
    """An empty flat index by inner product, for this thread alone to train with and to search."""
    index = faiss.IndexFlatIP(dimensions)
    return faiss.index_cpu_to_gpu(_resources(), 0, index) if faiss.get_num_gpus() else index


def knn(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (Q, k) float32, descending, and numbers (Q, k) of the vectors with the highest inner products."""
    if faiss.get_num_gpus():
        scores, numbers = faiss.knn_gpu(_resources(), queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        return scores, numbers
    products = queries @ vectors.T  # for few queries, four times as fast as FAISS
    nearest = np.sort(np.argpartition(products, len(vectors) - k, axis=1)[:, len(vectors) - k :], axis=1)
    scores = np.take_along_axis(products, nearest, 1)
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, 1), np.take_along_axis(nearest, order, 1)


class Adding:
    """Adds vectors to an inverted file, or to one behind a rotation. If there is a GPU, it finds their lists."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        self._lists = faiss.extract_index_ivf(index)
        self._centres: faiss.Index | None = None
        if faiss.get_num_gpus():
            self._centres = flat(self._lists.d)
            self._centres.add(self._lists.quantizer.reconstruct_n(0, self._lists.nlist))

    def add(self, vectors: np.ndarray, ids: np.ndarray) -> None:
        """Add vectors (n, C) float32 with ids (n,) int64."""
        if self._centres is None:
            self._index.add_with_ids(vectors, ids)
            return
        if isinstance(self._index, faiss.IndexPreTransform):
            vectors = self._index.chain.at(0).apply(vectors)
        nearest = np.ascontiguousarray(self._centres.search(vectors, 1)[1].ravel())
        pointers = [faiss.swig_ptr(array) for array in (vectors, ids, nearest)]
        self._lists.add_core(len(vectors), *pointers)


def _resources() -> "faiss.StandardGpuResources":
    if not hasattr(_own, "resources"):  # one for each thread: threads must not share them
        import torch  # here, because a service that reads an index does not need it

        torch.cuda.empty_cache()  # frees the memory that torch keeps for the network's next pass
        _own.resources = faiss.StandardGpuResources()
        _own.resources.setTempMemory(_TEMPORARY)
    return _own.resources
