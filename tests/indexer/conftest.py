"""Indexes of planted classes, by a network whose neurons are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.query.index import Index
from tests.planted import build_planted, numbered, write_colours


@pytest.fixture(scope="session")
def index(small_index: Path) -> Iterator[Index]:
    """`small_index`, open."""
    with indexer.open(small_index) as index:
        yield index


@dataclass
class Case:
    index: Index
    peaks: dict[str, np.ndarray]
    codes: np.ndarray


@pytest.fixture(scope="session", params=[1, 2])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Classes called by the outputs that stand for them, one that is none, and pictures without a class."""
    folder = tmp_path_factory.mktemp("learning")
    wanted = numbered(12) | {"zebra": ("green", 1)}
    photos = write_colours(folder / "photos", request.param, wanted, unlabelled=3, noise=90)
    with indexer.open(build_planted(photos, folder / "index")) as index:
        index.manifest.categories[:] = ["first", "second", "third"]
        peaks = {name: np.array(layer.peaks, np.float64) for name, layer in index.layers.items()}
        yield Case(index, peaks, np.array(index.images.class_code))


@pytest.fixture(scope="session")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three states of the same network: neuron 3 wakes up, neuron 0 dies."""
    folder = tmp_path_factory.mktemp("steps")
    photos = write_colours(folder / "photos", 3, numbered(10))
    changes = ({}, {3: 0.5}, {3: 0.5, 0: -50.0})
    return [build_planted(photos, folder / f"step {n}", change) for n, change in enumerate(changes)]


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index without classes."""
    folder = tmp_path_factory.mktemp("bare")
    return build_planted(write_colours(folder / "photos", 4, {}, unlabelled=9), folder / "bare")
