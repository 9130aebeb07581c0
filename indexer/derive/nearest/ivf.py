"""An inverted file that need not fit into memory, neither while it is made nor when it is asked.

It is trained on a sample and filled in parts, which FAISS merges into lists on disk. The lists are a file of their own
beside the index, and are read through memory mapping.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexer.derive.nearest import faiss_gpu
from indexer.derive.nearest.faiss_names import faiss_name
from indexer.derive.nearest.faiss_prints import unprinted

RECALL = 0.95
NEAREST = 10
_TIE = 1e-6
"""Two cosines that differ by no more may be those of equal vectors."""
_PROBE_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_VECTORS_A_LIST = 64
_CODE_NS, _MAP_NS = 40, 150_000
"""Nanoseconds to score a vector of a list, and to read and score a map: measured, to weigh one against the other."""
_MAPPED = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY


def training_vectors(lists: int) -> int:
    """How many vectors so many lists should be trained on."""
    return _VECTORS_A_LIST * lists


def list_count(count: int) -> int:
    """How many lists an index of ``count`` vectors has."""
    return int(2 ** round(np.log2(2 * np.sqrt(count))))


@dataclass(frozen=True)
class Trained:
    """An inverted file without vectors, and what is needed to choose how it is to be asked.

    Attributes
    ----------
    index : faiss.Index
    queries : ndarray (Q, C) float32
        Vectors of the index, not those it was trained on, by which its recall is measured.
    kind : str
        What it is, for people.
    factors : tuple of int
        How many times as many candidates as wanted may be asked for, ascending.
    """

    index: faiss.Index
    queries: np.ndarray
    kind: str
    factors: tuple[int, ...]


@dataclass(frozen=True)
class MeasuredWay:
    """A way to ask an inverted file, and how well it answers.

    Attributes
    ----------
    probes : int
        How many lists are looked at.
    candidates : int
        How many times as many candidates as wanted are asked for.
    recall : float
        The share of the ten nearest that are then among the candidates. Only those count that are nearer than the
        eleventh: where images repeat, or cells see the same plain ground, any of the others is as right.
    """

    probes: int
    candidates: int
    recall: float


@dataclass(frozen=True)
class Part:
    """Some of an index's vectors.

    Attributes
    ----------
    index : ndarray (bytes,) uint8
        An inverted file with these vectors alone, and without the centres of its lists.
    scores : ndarray (Q, 11) float32
        Of the exact nearest among them to each query, descending; -inf where there are fewer.
    numbers : ndarray (Q, 11) int64
        Which these are.
    """

    index: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray


def fill(trained: faiss.Index, blocks: Iterator[np.ndarray], first: int, queries: np.ndarray) -> Part:
    """The part with vectors in blocks (b, C) float32, of which the first one's number is ``first``."""
    part = faiss.clone_index(trained)
    adding = faiss_gpu.Adding(part)
    nearest = faiss.ResultHeap(len(queries), NEAREST + 1, keep_max=True)
    for block in blocks:
        exact = faiss_gpu.knn(queries, block, min(NEAREST + 1, len(block)))
        nearest.add_result(exact[0], exact[1] + first)
        adding.add(block, np.arange(first, first + len(block)))
        first += len(block)
    nearest.finalize()
    return Part(_without_centres(faiss.extract_index_ivf(part)), nearest.D, nearest.I)


def _without_centres(index: faiss.IndexIVF) -> np.ndarray:
    """A serialized inverted file; the centres of large ones would be most of a part, and are all in memory at once."""
    centres, index.quantizer = index.quantizer, faiss.IndexFlatIP(index.d)
    try:
        serialized: np.ndarray = faiss.serialize_index(index)
        return serialized
    finally:
        index.quantizer = centres


def write_inverted(path: Path, lists: Path, trained: Trained, parts: Iterable[tuple[int, Part]]) -> dict[str, Any]:
    """Write an index and its lists; say what it is, for the manifest.

    Parameters
    ----------
    path, lists : Path
        Files to write.
    trained : Trained
    parts : iterable of (int, Part)
        All vectors; the numbers put the parts, which may come in any order, in theirs. One is in memory at a time.
    """
    files, nearest = _write_parts(path, parts, len(trained.queries))
    index = trained.index
    inverted = faiss.extract_index_ivf(index)
    _merge(inverted, files, lists)
    index.ntotal = inverted.ntotal
    for file in files:
        file.unlink()
    asking = choose_way(trained, partial(_measure, trained, nearest), RECALL)
    inverted.nprobe = asking.probes
    faiss.downcast_InvertedLists(inverted.invlists).filename = lists.name  # is written too, and not where it was made
    write_index(index, path)
    return {
        "type": trained.kind, "probes": asking.probes, "recall_at_10": asking.recall, "candidates": asking.candidates,
    }  # fmt: skip


def _write_parts(path: Path, parts: Iterable[tuple[int, Part]], queries: int) -> tuple[list[Path], np.ndarray]:
    """Write each part to a file; give the files, in order, and the `_clearly_nearest` (Q, 10) among all parts."""
    nearest_of_part: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for number, part in parts:
        part.index.tofile(path.with_suffix(f".part{number}"))
        nearest_of_part[number] = part.scores, part.numbers
    numbers = sorted(nearest_of_part)
    nearest = faiss.ResultHeap(queries, NEAREST + 1, keep_max=True)
    for number in numbers:
        nearest.add_result(*nearest_of_part[number])
    nearest.finalize()
    return [path.with_suffix(f".part{number}") for number in numbers], _clearly_nearest(nearest.D, nearest.I)


def _clearly_nearest(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The numbers (Q, 10) of the ten nearest of eleven (Q, 11); -1 for each that is no nearer than the eleventh."""
    clear = scores[:, :NEAREST] > scores[:, NEAREST:] + _TIE
    return np.where(clear, numbers[:, :NEAREST], -1)


def write_index(index: faiss.Index, path: Path) -> None:
    """Write a FAISS file.

    Raises
    ------
    OSError
        It cannot be written: the disk is full, say.
    """
    with _writing(path), faiss_name(path) as name:
        faiss.write_index(index, name)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # FAISS raises it for every failure
        raise OSError(f"{path.name} cannot be written ({error})") from error


def read_inverted(path: Path, lists: Path) -> faiss.Index:
    """Open an index that `write_inverted` wrote, its lists mapped.

    Raises
    ------
    RuntimeError
        One of the files is not what it was.
    """
    with faiss_name(path) as name:
        index = faiss.read_index(name, faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_SKIP_IVF_DATA)
    mapped = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    if not lists.is_file() or lists.stat().st_size < mapped.totsize:
        raise RuntimeError(f"{lists.name} is missing or truncated")
    with faiss_name(lists) as name:
        mapped.filename, mapped.read_only = name, True  # where they are now
        mapped.do_mmap()
    return index


def _merge(index: faiss.Index, parts: list[Path], lists: Path) -> None:
    # As faiss.contrib.ondisk does, which never lets go of the parts.
    opened = [_mapped(part) for part in parts]
    theirs = faiss.InvertedListsPtrVector()
    for part in opened:
        theirs.push_back(part.invlists)
    with _writing(lists), faiss_name(lists) as name, unprinted():
        merged = faiss.OnDiskInvertedLists(index.nlist, index.code_size, name)
        index.ntotal = merged.merge_from_multiple(theirs.data(), theirs.size(), False)
    index.replace_invlists(merged, True)
    merged.this.disown()


def _mapped(part: Path) -> faiss.Index:
    with faiss_name(part) as name:
        return faiss.read_index(name, _MAPPED)


def choose_way(trained: Trained, measure: Callable[[int], Iterable[MeasuredWay]], recall: float) -> MeasuredWay:
    """The cheapest way to ask an inverted file that reaches a recall; where none does, the way with the highest.

    Parameters
    ----------
    trained : Trained
        The inverted file, with all its vectors.
    measure : callable
        Gives, for a number of probes, a way for each of `Trained.factors`.
    """
    lists = faiss.extract_index_ivf(trained.index)
    cost = partial(_cost, list_length=lists.ntotal / lists.nlist)
    ways: list[MeasuredWay] = []
    cheapest: MeasuredWay | None = None
    for probes in sorted({min(step, lists.nlist) for step in _PROBE_STEPS}):
        if cheapest is not None and cost(probes, trained.factors[0]) >= cost(cheapest.probes, cheapest.candidates):
            break  # from here on every way costs more
        ways.extend(measure(probes))
        reaching = [way for way in ways if way.recall >= recall]
        cheapest = min(reaching, key=lambda way: cost(way.probes, way.candidates), default=None)
    return cheapest or max(ways, key=lambda way: way.recall)


def _cost(probes: int, candidates: int, list_length: float) -> float:
    """Nanoseconds, about."""
    return probes * list_length * _CODE_NS + candidates * NEAREST * _MAP_NS


def _measure(trained: Trained, exact: np.ndarray, probes: int) -> Iterator[MeasuredWay]:
    """How many of the exact nearest (Q, 10), -1 for none, so many probes find, for each factor."""
    most = NEAREST * trained.factors[-1]
    numbers = trained.index.search(trained.queries, most, params=probing(trained.index, probes))[1]
    for factor in trained.factors:
        pairs = zip(exact, numbers[:, : NEAREST * factor], strict=True)
        found = [np.isin(nearest[nearest >= 0], candidates) for nearest, candidates in pairs]
        shares = [of_query.mean() for of_query in found if len(of_query)]
        yield MeasuredWay(probes, factor, float(np.mean(shares)) if shares else 1.0)


def probing(index: faiss.Index, probes: int) -> faiss.SearchParameters:
    """Parameters of a search of an inverted file that looks at so many lists."""
    parameters = faiss.SearchParametersIVF(nprobe=probes)
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=parameters)
    return parameters
