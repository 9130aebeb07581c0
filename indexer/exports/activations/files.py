"""The vectors of a layer's cells as files of numpy or safetensors, for programs that train on activations.

::

    OUT/layer.json                      the layer, the network, and the files with their rows
    OUT/images.csv                      id, path and class of the images
    OUT/activations-00000.npy           (n, C) float16 or float32, and
    OUT/rows-00000.npy                  (n, 3) int64: the image's id, y, x of the cell
    OUT/activations-00000.safetensors   or both in one: ``activations`` and ``rows``
"""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from indexer.errors import InvalidRequest, NotInstalled
from indexer.exports.activations.rows import COLUMNS, Cells, Rows, all_rows, images_of
from indexer.query.index import Index
from indexer.store import atomic

FORMATS: Final = ("npy", "safetensors")
DTYPES: Final = ("float16", "float32")
FILE_BYTES: Final = 256 << 20
"""How many bytes of vectors a file holds, at most."""
Json = dict[str, Any]


def export_activations(
    index: Index,
    layer: str,
    out: Path,
    *,
    format: str = "npy",
    dtype: str = "float16",
    cells: Cells = Cells(),  # noqa: B008 - it is frozen
    class_: str | None = None,
    file_bytes: int = FILE_BYTES,
    progress: Callable[[int], None] = lambda images: None,
) -> Json:
    """Write the vectors of a layer's cells. Returns the content of layer.json.

    The folder appears only when it is complete. Memory holds one file's vectors.

    Parameters
    ----------
    out : Path
        A folder that does not exist yet.
    dtype : str
        ``float16`` is as kept, without loss; ``float32`` is twice as large.
    class_ : str, optional
        Only images of this class.
    progress : callable
        Gets the number of images done since it was called last.

    Raises
    ------
    NotFound
        No such layer, or no image of the class.
    InvalidRequest
        ``out`` exists, or ``format``, ``dtype`` or ``cells`` is none that there is.
    NotInstalled
        safetensors is missing.
    """
    _check(out, format, dtype)
    images, info = images_of(index, class_), index.layer(layer).info
    rows_each = max(1, file_bytes // (info.channels * np.dtype(dtype).itemsize))
    write = _WRITERS[format]
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic.publishing(out) as folder:
        folder.mkdir()
        files = []
        for number, rows in enumerate(_pieces(_counted(all_rows(index, layer, images, cells), progress), rows_each)):
            names = write(folder, f"{number:05d}", rows.vectors.astype(dtype, copy=False), rows.where)
            files.append({**names, "rows": len(rows.where)})
        about = _about(index, layer, dtype, cells) | {"images": len(images), "files": files}
        (folder / "layer.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        _write_images(index, folder / "images.csv", images)
    return about


def _check(out: Path, format: str, dtype: str) -> None:
    if out.exists():
        raise InvalidRequest(f"{out} exists; name a folder that does not exist yet, so that no file is lost")
    for name, value, known in (("format", format, FORMATS), ("dtype", dtype, DTYPES)):
        if value not in known:
            raise InvalidRequest(f"{name} must be one of {', '.join(known)}, not {value!r}")


def _counted(all_of_them: Iterator[Rows], progress: Callable[[int], None]) -> Iterator[Rows]:
    for rows in all_of_them:
        yield rows
        progress(1)


def _pieces(all_of_them: Iterator[Rows], size: int) -> Iterator[Rows]:
    """The same rows, ``size`` at a time; the last piece may have fewer."""
    held: list[Rows] = []
    count = 0
    for rows in all_of_them:
        held.append(rows)
        count += len(rows.where)
        while count >= size:
            joined = _joined(held)
            yield Rows(joined.vectors[:size], joined.where[:size])
            held, count = [Rows(joined.vectors[size:], joined.where[size:])], count - size
    if count:
        yield _joined(held)


def _joined(held: list[Rows]) -> Rows:
    return Rows(np.concatenate([rows.vectors for rows in held]), np.concatenate([rows.where for rows in held]))


def _write_npy(folder: Path, number: str, vectors: np.ndarray, where: np.ndarray) -> Json:
    names = {"activations": f"activations-{number}.npy", "where": f"rows-{number}.npy"}
    np.save(folder / names["activations"], vectors)
    np.save(folder / names["where"], where)
    return names


def _write_safetensors(folder: Path, number: str, vectors: np.ndarray, where: np.ndarray) -> Json:
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise NotInstalled(
            "files of safetensors need safetensors, which is not installed: install unitscope[safetensors]"
        ) from error
    name = f"activations-{number}.safetensors"
    # Not its own save_file: only their owner could read its files.
    (folder / name).write_bytes(save({"activations": np.ascontiguousarray(vectors), "rows": where}))
    return {"activations": name, "where": name}


_WRITERS: Final = {"npy": _write_npy, "safetensors": _write_safetensors}


def _about(index: Index, layer: str, dtype: str, cells: Cells) -> Json:
    info, configuration = index.layer(layer).info, index.manifest.configuration
    return {
        "index": index.name,
        "generation": index.manifest.generation,
        "layer": layer,
        "model": configuration.model,
        "weights_digest": configuration.weights_digest,
        "channels": info.channels,
        "height": info.height,
        "width": info.width,
        "dtype": dtype,
        "columns": list(COLUMNS),
        "cells_of_each_image": min(cells.each or info.cells, info.cells),
        "seed": None if cells.each is None else cells.seed,
    }


def _write_images(index: Index, path: Path, images: list[int]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:  # names need not be UTF-8
        table = csv.writer(file)
        table.writerow(["image", "path", "class"])
        for number in images:
            image = index.image(number)
            table.writerow([image.id, image.path, image.class_ or ""])
