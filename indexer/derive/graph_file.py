"""Is this part of a FAISS file a graph (HNSW) that can be walked without leaving it?

A node of ``l`` levels has room for neighbours on each of them, one level after the other, and the walk goes from a node
to a neighbour on the same level. So every neighbour must be a node, and must itself be on that level.
"""

import numpy as np

from indexer.derive.faiss_reader import Reader, WrongVectors
from indexer.derive.rabitq import NEIGHBOURS

_MOST_LEVELS = 32
_MOST_SEARCHED = 1 << 12


def check_graph(reader: Reader, nodes: int) -> None:
    """Read past a graph of so many nodes, at least one.

    Raises
    ------
    WrongVectors
    """
    (possible,) = reader.take("Q")
    if not 1 <= possible <= _MOST_LEVELS:
        raise WrongVectors(f"has a graph of {possible} levels")
    reader.skip(possible * 8)  # how many nodes are on each level, for whoever adds some
    room = np.arange(1, possible + 2) * NEIGHBOURS  # twice as much on the lowest level
    room[0] = 0
    _check_equal(reader.array("<i4", possible + 1), room)
    levels = reader.array("<i4", nodes)
    if levels.min() < 1 or levels.max() > possible:
        raise WrongVectors("has nodes on levels that there are not")
    offsets = np.concatenate([[0], np.cumsum(room[levels])])
    _check_equal(reader.array("<u8", nodes + 1), offsets)
    _check_neighbours(reader.array("<i4", int(offsets[-1])), offsets[:-1], levels, room)
    entry, highest, _, searched, _ = reader.take("iiiii")
    if not 0 <= entry < nodes or highest != levels[entry] - 1 or highest != levels.max() - 1:
        raise WrongVectors("has a graph that is entered where it is not")
    if not 1 <= searched <= _MOST_SEARCHED:
        raise WrongVectors(f"has a graph of which {searched} nodes are kept in view")


def _check_equal(found: np.ndarray, right: np.ndarray) -> None:
    if not np.array_equal(found, right):
        raise WrongVectors("has a graph whose parts do not fit together")


def _check_neighbours(neighbours: np.ndarray, starts: np.ndarray, levels: np.ndarray, room: np.ndarray) -> None:
    """Neighbours (n,) of all nodes; -1 where there is none."""
    if neighbours.min() < -1 or neighbours.max() >= len(levels):
        raise WrongVectors("has a graph that leads out of itself")
    for level in range(1, int(levels.max())):
        there = starts[levels > level]
        named = neighbours[there[:, None] + np.arange(room[level], room[level + 1])]
        if (levels[named[named >= 0]] <= level).any():
            raise WrongVectors("has a graph that leads to a node on a level where it is not")
