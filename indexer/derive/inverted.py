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

RECALL = 0.95
_PROBE_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_QUERIES, _NEAREST = 64, 10
_VECTORS_A_LIST = 64
_MAPPED = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY


def training_vectors(count: int) -> int:
    """How many vectors an index of ``count`` should be trained on."""
    return _VECTORS_A_LIST * _lists(count)


def _lists(count: int) -> int:
    return int(2 ** round(np.log2(2 * np.sqrt(count))))


@dataclass(frozen=True)
class Trained:
    """An inverted file without vectors, and queries (Q, C) float32 to choose the number of probes by."""

    index: faiss.Index
    queries: np.ndarray


@dataclass(frozen=True)
class Part:
    """Some of an index's vectors.

    Attributes
    ----------
    index : ndarray (bytes,) uint8
        The trained index with these vectors alone.
    scores : ndarray (Q, 10) float32
        Of the exact nearest among them to each query, descending; -inf where there are fewer.
    numbers : ndarray (Q, 10) int64
        Which these are.
    """

    index: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray


def train(sample: np.ndarray, count: int) -> Trained:
    """An inverted file for ``count`` vectors, trained on some of them (S, C) float32."""
    number = _lists(count)
    index = faiss.index_factory(sample.shape[1], f"IVF{number},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.train(sample[:: max(1, len(sample) // (_VECTORS_A_LIST * number))])
    return Trained(index, sample[:: max(1, len(sample) // _QUERIES)][:_QUERIES])


def fill(trained: faiss.Index, blocks: Iterator[np.ndarray], first: int, queries: np.ndarray) -> Part:
    """The part with vectors in blocks (b, C) float32, of which the first one's number is ``first``."""
    part = faiss.clone_index(trained)
    nearest = faiss.ResultHeap(len(queries), _NEAREST, keep_max=True)
    for block in blocks:
        exact = faiss.knn(queries, block, min(_NEAREST, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        nearest.add_result(exact[0], exact[1] + first)
        part.add_with_ids(block, np.arange(first, first + len(block)))
        first += len(block)
    nearest.finalize()
    return Part(faiss.serialize_index(part), nearest.D, nearest.I)


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
    nearest = faiss.ResultHeap(len(trained.queries), _NEAREST, keep_max=True)
    for number in sorted(found):
        nearest.add_result(*found[number])
    nearest.finalize()
    _merge(index, files, lists)
    for file in files:
        file.unlink()
    probes, recall = _choose_probes(index, trained.queries, nearest.I)
    faiss.downcast_InvertedLists(index.invlists).filename = lists.name  # is written too, and not where it was made
    write_index(index, path)
    return {"type": f"IVF{index.nlist}, float16", "probes": probes, "recall_at_10": recall}


def write_index(index: faiss.Index, path: Path) -> None:
    """Write a FAISS file.

    Raises
    ------
    OSError
        It cannot be written: the disk is full, say.
    """
    with _writing(path):
        faiss.write_index(index, str(path))


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
    index = faiss.read_index(str(path), faiss.IO_FLAG_READ_ONLY | faiss.IO_FLAG_SKIP_IVF_DATA)
    found = faiss.downcast_InvertedLists(faiss.extract_index_ivf(index).invlists)
    if not lists.is_file() or lists.stat().st_size < found.totsize:
        raise RuntimeError(f"{lists.name} is missing or truncated")
    found.filename, found.read_only = str(lists), True  # where they are now
    found.do_mmap()
    return index


def _merge(index: faiss.Index, parts: list[Path], lists: Path) -> None:
    # As faiss.contrib.ondisk does, which never lets go of the parts.
    opened = [faiss.read_index(str(part), _MAPPED) for part in parts]
    theirs = faiss.InvertedListsPtrVector()
    for part in opened:
        theirs.push_back(part.invlists)
    with _writing(lists):
        merged = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(lists))
        index.ntotal = merged.merge_from_multiple(theirs.data(), theirs.size(), False)
    index.replace_invlists(merged, True)
    merged.this.disown()


def _choose_probes(index: faiss.Index, queries: np.ndarray, exact: np.ndarray) -> tuple[int, float]:
    recall = 0.0
    for probes in _PROBE_STEPS:
        index.nprobe = min(probes, index.nlist)
        found = index.search(queries, 10)[1]
        recall = float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]))
        if recall >= RECALL or probes >= index.nlist:
            break
    return int(index.nprobe), recall
