"""Checks that a search of a graph (HNSW) in a FAISS file can never leave it.

A node of ``l`` levels has slots for its neighbours on each of them, one level after the other. A search goes from a
node to a neighbour on the same level. So every neighbour must be a node of the graph and must itself be on that level.
"""

import numpy as np

from indexer.derive.nearest.faiss_reader import Reader, WrongVectors
from indexer.derive.nearest.rabitq import NEIGHBOURS

_MOST_LEVELS = 32
_MOST_SEARCHED = 1 << 12


def check_graph(reader: Reader, nodes: int) -> None:
    """Check a graph of so many nodes, at least one, and read on to its end.

    Raises
    ------
    WrongVectors
    """
    (possible,) = reader.take("Q")
    if not 1 <= possible <= _MOST_LEVELS:
        raise WrongVectors(f"has a graph of {possible} levels")
    reader.skip(possible * 8)  # chances of each level for a node that is added; only adding reads them
    room = np.arange(1, possible + 2) * NEIGHBOURS  # twice as many slots on the lowest level
    room[0] = 0
    _check_equal(reader.array("<i4", possible + 1), room)
    levels = reader.array("<i4", nodes)
    if levels.min() < 1 or levels.max() > possible:
        raise WrongVectors("has nodes on levels that do not exist")
    offsets = np.concatenate([[0], np.cumsum(room[levels])])
    _check_equal(reader.array("<u8", nodes + 1), offsets)
    _check_neighbours(reader.array("<i4", int(offsets[-1])), offsets[:-1], levels, room)
    entry, highest, _, searched, _ = reader.take("iiiii")
    if not 0 <= entry < nodes or highest != levels[entry] - 1 or highest != levels.max() - 1:
        raise WrongVectors("has a graph whose entry point is not a node of its highest level")
    if not 1 <= searched <= _MOST_SEARCHED:
        raise WrongVectors(f"has a graph of which {searched} nodes are kept in view")


def _check_equal(stored: np.ndarray, right: np.ndarray) -> None:
    if not np.array_equal(stored, right):
        raise WrongVectors("has a graph whose parts do not fit together")


def _check_neighbours(neighbours: np.ndarray, starts: np.ndarray, levels: np.ndarray, room: np.ndarray) -> None:
    """Check the neighbours (n,) of all nodes; -1 stands for an empty slot."""
    if neighbours.min() < -1 or neighbours.max() >= len(levels):
        raise WrongVectors("has a graph with a neighbour that is not one of its nodes")
    for level in range(1, int(levels.max())):
        on_level = starts[levels > level]
        named = neighbours[on_level[:, None] + np.arange(room[level], room[level + 1])]
        if (levels[named[named >= 0]] <= level).any():
            raise WrongVectors("has a graph with a neighbour that is not on the level where it is named")
