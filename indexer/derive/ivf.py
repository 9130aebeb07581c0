"""An inverted file that need not fit into memory, neither while it is made nor when it is asked.

It is trained on a sample and filled in parts, which FAISS merges into lists on disk. The lists are a file of their own
beside the index, and are read through memory mapping.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexer.derive import faiss_gpu
from indexer.derive.faiss_names import faiss_name

RECALL = 0.95
NEAREST = 10
_PROBE_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_VECTORS_A_LIST = 64
_CODE_NS, _MAP_NS = 40, 150_000
"""What it takes to score a vector of a list, and to read and score a map: measured, to weigh one against the other."""
_MAPPED = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY


def training_vectors(count: int) -> int:
    """How many vectors an index of ``count`` should be trained on."""
    return _VECTORS_A_LIST * list_count(count)


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
    factors: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Measured:
    """A way to ask an inverted file, and the share of the ten nearest that are then among the candidates."""

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
    scores : ndarray (Q, 10) float32
        Of the exact nearest among them to each query, descending; -inf where there are fewer.
    numbers : ndarray (Q, 10) int64
        Which these are.
    """

    index: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray


def train(sample: np.ndarray, count: int, queries: np.ndarray) -> Trained:
    """An inverted file over float16 for ``count`` vectors, trained on some of them (S, C) float32; see `Trained`."""
    number = list_count(count)
    index = faiss.index_factory(sample.shape[1], f"IVF{number},SQfp16", faiss.METRIC_INNER_PRODUCT)
    on_gpu = faiss_gpu.flat(sample.shape[1])
    index.clustering_index = on_gpu
    index.train(spread(sample, number))
    index.clustering_index = None
    return Trained(index, queries, f"IVF{number}, float16")


def spread(sample: np.ndarray, lists: int) -> np.ndarray:
    """As many vectors of a sample as so many lists are trained on, from all of it."""
    return sample[:: max(1, len(sample) // (_VECTORS_A_LIST * lists))]


def fill(trained: faiss.Index, blocks: Iterator[np.ndarray], first: int, queries: np.ndarray) -> Part:
    """The part with vectors in blocks (b, C) float32, of which the first one's number is ``first``."""
    part = faiss.clone_index(trained)
    adding = faiss_gpu.Adding(part)
    nearest = faiss.ResultHeap(len(queries), NEAREST, keep_max=True)
    for block in blocks:
        exact = faiss_gpu.knn(queries, block, min(NEAREST, len(block)))
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
    index, found = trained.index, {}
    for number, part in parts:
        part.index.tofile(path.with_suffix(f".part{number}"))
        found[number] = part.scores, part.numbers
    files = [path.with_suffix(f".part{number}") for number in sorted(found)]
    nearest = faiss.ResultHeap(len(trained.queries), NEAREST, keep_max=True)
    for number in sorted(found):
        nearest.add_result(*found[number])
    nearest.finalize()
    inverted = faiss.extract_index_ivf(index)
    _merge(inverted, files, lists)
    index.ntotal = inverted.ntotal
    for file in files:
        file.unlink()
    asking = _choose(trained, nearest.I)
    inverted.nprobe = asking.probes
    faiss.downcast_InvertedLists(inverted.invlists).filename = lists.name  # is written too, and not where it was made
    write_index(index, path)
    about = {"type": trained.kind, "probes": asking.probes, "recall_at_10": asking.recall}
    return about if trained.factors == (1,) else {**about, "candidates": asking.candidates}


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
    except RuntimeError as error:  # what FAISS says of every failure
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
    found = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    if not lists.is_file() or lists.stat().st_size < found.totsize:
        raise RuntimeError(f"{lists.name} is missing or truncated")
    with faiss_name(lists) as name:
        found.filename, found.read_only = name, True  # where they are now
        found.do_mmap()
    return index


def _merge(index: faiss.Index, parts: list[Path], lists: Path) -> None:
    # As faiss.contrib.ondisk does, which never lets go of the parts.
    opened = [_mapped(part) for part in parts]
    theirs = faiss.InvertedListsPtrVector()
    for part in opened:
        theirs.push_back(part.invlists)
    with _writing(lists), faiss_name(lists) as name:
        merged = faiss.OnDiskInvertedLists(index.nlist, index.code_size, name)
        index.ntotal = merged.merge_from_multiple(theirs.data(), theirs.size(), False)
    index.replace_invlists(merged, True)
    merged.this.disown()


def _mapped(part: Path) -> faiss.Index:
    with faiss_name(part) as name:
        return faiss.read_index(name, _MAPPED)


def _choose(trained: Trained, exact: np.ndarray) -> Measured:
    """The cheapest way to ask that finds `RECALL` of the exact nearest (Q, 10), or else what finds most."""
    index = faiss.extract_index_ivf(trained.index)
    cost = lambda way: _cost(way, index.ntotal / index.nlist)  # noqa: E731
    tried: list[Measured] = []
    for probes in _PROBE_STEPS:
        tried.extend(_plans(trained, min(probes, index.nlist), exact))
        good = [way for way in tried if way.recall >= RECALL]
        more = Measured(2 * probes, trained.factors[0], 1)
        if probes >= index.nlist or (good and cost(more) >= min(map(cost, good))):
            break
    return min(good, key=cost) if good else max(tried, key=lambda way: way.recall)


def _cost(way: Measured, list_length: float) -> float:
    return way.probes * list_length * _CODE_NS + way.candidates * NEAREST * _MAP_NS


def _plans(trained: Trained, probes: int, exact: np.ndarray) -> Iterator[Measured]:
    """What so many probes find, for each factor."""
    wanted = NEAREST * trained.factors[-1]
    found = trained.index.search(trained.queries, wanted, params=probing(trained.index, probes))[1]
    for factor in trained.factors:
        near = zip(exact, found[:, : NEAREST * factor], strict=True)
        yield Measured(probes, factor, float(np.mean([len(set(a) & set(b)) / NEAREST for a, b in near])))


def probing(index: faiss.Index, probes: int) -> faiss.SearchParameters:
    """Parameters of a search of an inverted file that looks at so many lists."""
    parameters = faiss.SearchParametersIVF(nprobe=probes)
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=parameters)
    return parameters


def every_list(index: faiss.Index) -> int:
    """How many lists an inverted file has: with so many probes all vectors are looked at."""
    return int(faiss.extract_index_ivf(index).nlist)
