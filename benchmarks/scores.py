"""Scores of neurons beside those of the package semanticlens, on the same vectors.

1. Install semanticlens where it does not disturb: ``pip install --no-deps --target FOLDER semanticlens==0.2.1``.
2. ``python -m benchmarks.scores FOLDER`` loads its ``scores.py`` alone, as the whole package wants foundation models,
   and prints for each kind of vectors how far ours are from its figures, and whose k-means found the tighter groups.
"""

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from indexer.derive.scores import measures

KINDS = {"noise": 0, "one group": 1, "two groups": 2, "three groups": 3, "one outlier": 1}
NEURONS, PATCHES, DIMENSIONS = 40, 30, 64


def vectors_of(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Vectors (neurons, patches, dimensions) float32."""
    if kind == "noise":
        return rng.random((NEURONS, PATCHES, DIMENSIONS)).astype(np.float32)
    groups = rng.integers(0, KINDS[kind], (NEURONS, PATCHES))
    centres = rng.random((NEURONS, KINDS[kind], DIMENSIONS))
    vectors = centres[np.arange(NEURONS)[:, None], groups] + 0.1 * rng.normal(size=(NEURONS, PATCHES, DIMENSIONS))
    if kind == "one outlier":
        vectors[:, 7] = 5 * rng.random((NEURONS, DIMENSIONS))
    return np.maximum(vectors, 0).astype(np.float32)


def scatter(vectors: np.ndarray, groups: np.ndarray) -> float:
    """Squared distances to the mean of the own group, which k-means makes small."""
    parts = [vectors[groups == group].astype(np.float64) for group in np.unique(groups)]
    return float(sum(np.square(part - part.mean(axis=0)).sum() for part in parts))


def beside(theirs: ModuleType, kind: str, rng: np.random.Generator) -> str:
    """A row of the table."""
    from sklearn.cluster import KMeans

    vectors = vectors_of(kind, rng)
    given = torch.from_numpy(vectors)
    splits = [measures.split(own) for own in vectors]
    clarity = np.array([measures.clarity(own) for own in vectors]) - theirs.clarity_score(given).numpy()
    apart = np.array([measures.polysemanticity(*pair) for pair in zip(vectors, splits, strict=True)])
    apart -= theirs.polysemanticity_score(given).numpy()
    _, redundancy = measures.redundancy(vectors.mean(axis=1), np.ones(NEURONS, bool))
    nearest = redundancy.mean() - float(theirs.redundancy_score(given.mean(dim=1)))
    fits = [KMeans(2, n_init=10, random_state=123).fit_predict(own) for own in vectors]
    ratios = np.array([scatter(v, own) / scatter(v, fit) for v, own, fit in zip(vectors, splits, fits, strict=True)])
    return (
        f"| {kind} | {np.abs(clarity).max():.1e} | {abs(nearest):.1e} | {np.abs(apart).max():.1e} | "
        f"{(ratios < 1 - 1e-6).sum()} | {(abs(ratios - 1) <= 1e-6).sum()} | {(ratios > 1 + 1e-6).sum()} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where semanticlens lies")
    spec = importlib.util.spec_from_file_location("theirs", parser.parse_args().folder / "semanticlens" / "scores.py")
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    rng = np.random.default_rng(0)
    print("| vectors | clarity | redundancy | polysemanticity | tighter | as tight | looser |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in KINDS:
        print(beside(theirs, kind, rng))


if __name__ == "__main__":
    main()
