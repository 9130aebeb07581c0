"""An inverted file that need not fit into memory, neither while it is made nor when it is asked.

It is trained on a sample and filled in parts of `PART_BYTES`, which FAISS merges into lists on disk. The lists are a
file of their own beside the index, and are read through memory mapping.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

RECALL = 0.95
PART_BYTES = 1 << 29
_PROBE_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_QUERIES = 64
_VECTORS_A_LIST = 64
_MAPPED = faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY


def training_vectors(count: int) -> int:
    """How many vectors an index of ``count`` should be trained on."""
    return _VECTORS_A_LIST * _lists(count)


def _lists(count: int) -> int:
    return int(2 ** round(np.log2(2 * np.sqrt(count))))


def write_inverted(path: Path, lists: Path, sample: np.ndarray, blocks: Iterator[np.ndarray], count: int) -> dict:
    """Write an index and its lists; say what it is, for the manifest.

    Parameters
    ----------
    path, lists : Path
        Files to write.
    sample : ndarray (S, C) float32
        Vectors to train on and to choose the number of probes by.
    blocks : iterator of ndarray (b, C) float32
        All vectors, in order; their numbers count from 0.
    count : int
        How many there are.
    """
    number = _lists(count)
    index = faiss.index_factory(sample.shape[1], f"IVF{number},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.train(sample[:: max(1, len(sample) // (_VECTORS_A_LIST * number))])
    queries = sample[:: max(1, len(sample) // _QUERIES)][:_QUERIES]
    nearest = faiss.ResultHeap(len(queries), 10, keep_max=True)
    parts = list(_write_parts(index, path, blocks, queries, nearest))
    nearest.finalize()
    _merge(index, parts, lists)
    for part in parts:
        part.unlink()
    probes, recall = _choose_probes(index, queries, nearest.I)
    write_index(index, path)
    return {"type": f"IVF{number}, float16", "probes": probes, "recall_at_10": recall}


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


def _write_parts(
    trained: faiss.Index, path: Path, blocks: Iterator[np.ndarray], queries: np.ndarray, nearest: Any
) -> Iterator[Path]:
    part, first, written = faiss.clone_index(trained), 0, 0
    for block in blocks:
        exact = faiss.knn(queries, block, min(10, len(block)), metric=faiss.METRIC_INNER_PRODUCT)
        nearest.add_result(exact[0], exact[1] + first)
        part.add_with_ids(block, np.arange(first, first + len(block)))
        first += len(block)
        if part.ntotal * part.code_size >= PART_BYTES:
            yield _write_part(part, path, written)
            part, written = faiss.clone_index(trained), written + 1
    if part.ntotal:
        yield _write_part(part, path, written)


def _write_part(part: faiss.Index, path: Path, number: int) -> Path:
    file = path.with_suffix(f".part{number}")
    write_index(part, file)
    return file


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
