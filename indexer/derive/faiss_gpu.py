"""What FAISS does on a GPU where it sees one, and on the CPU elsewhere: k-means, the nearest centre, the exact nearest.

FAISS sees the GPUs that CUDA_VISIBLE_DEVICES leaves, whichever device the network runs on. Sums are in another order
there, so that a vector between two centres may be in the other one's list; recall is measured as always.
"""

import threading

import faiss
import numpy as np

_TEMPORARY = 256 << 20
"""Bytes that FAISS sets aside for each thread on the GPU; by default it takes 1.5 GB."""
_own = threading.local()


def flat(dimensions: int) -> faiss.Index:
    """An empty flat index by inner product, to be trained with and searched by this thread alone."""
    index = faiss.IndexFlatIP(dimensions)
    return faiss.index_cpu_to_gpu(_resources(), 0, index) if faiss.get_num_gpus() else index


def knn(queries: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (Q, k) float32, descending, and numbers (Q, k) of the vectors with the highest inner products."""
    if faiss.get_num_gpus():
        scores, numbers = faiss.knn_gpu(_resources(), queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    else:
        scores, numbers = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, numbers


class Adding:
    """Adds vectors to an inverted file, or a rotation before one; a GPU finds the lists where there is one."""

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
        turned = self._index.chain.at(0).apply(vectors) if isinstance(self._index, faiss.IndexPreTransform) else vectors
        nearest = np.ascontiguousarray(self._centres.search(turned, 1)[1].ravel())
        pointers = [faiss.swig_ptr(array) for array in (turned, ids, nearest)]
        self._lists.add_core(len(turned), *pointers)


def _resources() -> "faiss.StandardGpuResources":
    if not hasattr(_own, "resources"):  # not to be shared by threads
        import torch  # here, because a service that reads an index needs none

        torch.cuda.empty_cache()  # what a network that ran here keeps for its next pass
        _own.resources = faiss.StandardGpuResources()
        _own.resources.setTempMemory(_TEMPORARY)
    return _own.resources
