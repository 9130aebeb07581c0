"""Dictionaries by scikit-learn: k-means, and non-negative matrix factorisation."""

import importlib
import warnings
from types import ModuleType

import numpy as np
import torch

from indexer.errors import InvalidRequest, NotInstalled
from indexer.network.encoding.encoders import KMeansEncoder, NMFEncoder

_BATCH = 4096
_NMF_STEPS = 300


def learn_kmeans(vectors: np.ndarray, components: int, seed: int) -> KMeansEncoder:
    """Centroids of vectors (n, C), by mini-batch k-means (Sculley 2010)."""
    learned = (
        _sklearn("cluster").MiniBatchKMeans(components, random_state=seed, batch_size=_BATCH, n_init=3).fit(vectors)
    )
    return KMeansEncoder(torch.from_numpy(learned.cluster_centers_.astype(np.float32)))


def learn_nmf(vectors: np.ndarray, components: int, seed: int) -> NMFEncoder:
    """Components of vectors (n, C) that are not negative, by coordinate descent (Cichocki and Phan 2009).

    They have length 1, so that the weights of one can be compared with those of another. They begin at singular vectors
    (Boutsidis and Gallopoulos 2008), or by chance where more are wanted than there are channels or vectors.

    Raises
    ------
    InvalidRequest
        A vector has a negative activation.
    """
    if bool((vectors < 0).any()):
        raise InvalidRequest("nmf needs a layer without negative activations, as behind a ReLU; use kmeans or sae")
    begins = "nndsvda" if components <= min(vectors.shape) else "random"  # singular vectors: there are no more of them
    learned = _sklearn("decomposition").NMF(components, init=begins, random_state=seed, max_iter=_NMF_STEPS)
    with warnings.catch_warnings():  # of a fit that could go on; its metrics say how good it is
        warnings.simplefilter("ignore")
        components = learned.fit(vectors).components_
    lengths = np.maximum(np.linalg.norm(components, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return NMFEncoder(torch.from_numpy((components / lengths).astype(np.float32)))


def _sklearn(module: str) -> ModuleType:
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError as error:
        raise NotInstalled(
            "kmeans and nmf need the package scikit-learn, which is not installed: install unitscope[dictionaries]"
        ) from error
