"""The image table of a generation: every image that answers are about, in order of ids."""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.errors import DamagedFile, NotFound
from indexer.shards.reader import Shard
from indexer.shards.writer import IndexedImage
from indexer.store import mapped

KIND = "unitscope image table"
VERSION = 1
ALL = slice(None)
_COLUMNS = {
    "id", "shard", "row", "width", "height", "bytes", "class", "sha256", "path", "path_order", "classes",
}  # fmt: skip


@dataclass(frozen=True)
class LiveRows:
    """The rows of one shard that are not removed; ``start`` is the first one's row in the derived files."""

    shard: int
    rows: np.ndarray
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.rows)


def write_image_table(path: Path, shards: Iterable[Shard], removed: set[int]) -> list[LiveRows]:
    """Write the table and say which rows of which shard it is made of, in its order."""
    images: list[IndexedImage] = []
    live: list[LiveRows] = []
    for number, shard in enumerate(shards):
        table = shard.images()
        rows = np.array([row for row in range(shard.rows) if table[row].id not in removed], np.int64)
        live.append(LiveRows(number, rows, len(images)))
        images.extend(table[row] for row in rows.tolist())
    mapped.write_arrays(path, KIND, VERSION, _columns(images, live))
    return live


def _columns(images: list[IndexedImage], live: list[LiveRows]) -> dict[str, np.ndarray]:
    classes = sorted({image.class_ for image in images if image.class_ is not None})
    code = {name: number for number, name in enumerate(classes)}
    paths = _strings(image.path for image in images)
    return {
        "id": np.array([image.id for image in images], np.int64),
        "shard": np.concatenate([np.full(len(part.rows), part.shard) for part in live] or [[]]).astype(np.int32),
        "row": np.concatenate([part.rows for part in live] or [[]]).astype(np.int32),
        "width": np.array([image.width for image in images], np.int32),
        "height": np.array([image.height for image in images], np.int32),
        "bytes": np.array([image.bytes for image in images], np.int64),
        "class": np.array([-1 if image.class_ is None else code[image.class_] for image in images], np.int32),
        "sha256": np.frombuffer(b"".join(image.sha256 for image in images), np.uint8).reshape(-1, 32),
        "path": paths,
        "path_order": np.argsort(paths, kind="stable").astype(np.int64),
        "classes": _strings(classes),
    }


def _strings(texts: Iterable[str]) -> np.ndarray:
    data = [text.encode("utf-8", "surrogateescape") for text in texts]
    return np.array(data, f"S{max([1, *map(len, data)])}")


class ImageTable:
    """The image table of a generation, read through memory mapping. A row is a column of the layers' arrays.

    Attributes
    ----------
    id, shard, row, width, height, bytes, class_code : ndarray (N,)
        ``shard`` counts in the manifest's list, ``row`` within the shard; class_code is -1 for none.
    digests : ndarray (N, 32) uint8
        sha256 of each file.
    classes : list of str
        Sorted.
    """

    def __init__(self, index: Path, file: str) -> None:
        self._arrays = mapped.map_arrays(index / file, file, KIND, VERSION)
        missing = _COLUMNS - self._arrays.keys()
        if missing:
            raise DamagedFile(file, f"lacks {', '.join(sorted(missing))}")
        if self._arrays["classes"].dtype.kind != "S" or any(array.ndim == 0 for array in self._arrays.values()):
            raise DamagedFile(file, "has columns of another type")
        self.id, self.shard, self.row = (self._arrays[name] for name in ("id", "shard", "row"))
        self.width, self.height, self.bytes = (self._arrays[name] for name in ("width", "height", "bytes"))
        self.class_code, self.digests = self._arrays["class"], self._arrays["sha256"]
        self.classes = [_text(name) for name in self._arrays["classes"].tolist()]

        self._file = file

    def __len__(self) -> int:
        return len(self.id)

    def check(self, shards: int) -> None:
        """Refuse a table whose columns do not fit together, or to an index of so many shards.

        Raises
        ------
        DamagedFile
        """
        count = len(self)
        columns = {name: array for name, array in self._arrays.items() if name in _COLUMNS - {"classes", "sha256"}}
        kinds = {name: "S" if name == "path" else "i" for name in columns}
        fits = (
            all(array.shape == (count,) and array.dtype.kind == kinds[name] for name, array in columns.items())
            and self.digests.shape == (count, 32)
            and _within(self.shard, 0, shards)
            and _within(self.class_code, -1, len(self.classes))
            and _within(self._arrays["path_order"], 0, count)
            and all(_within(array, 0, 2**53) for array in (self.id, self.row, self.bytes))
            and all(_within(array, 1) for array in (self.width, self.height))
            and bool((np.diff(self.id) > 0).all())
        )
        if not fits:
            raise DamagedFile(self._file, "has columns that do not fit together")

    def path(self, row: int) -> str:
        """Path relative to the image root."""
        return _text(bytes(self._arrays["path"][row]))

    def paths(self, rows: np.ndarray | slice = ALL) -> list[str]:
        """Paths of these rows, by default of all, in their order."""
        return [_text(path) for path in self._arrays["path"][rows].tolist()]

    def class_of(self, row: int) -> str | None:
        code = int(self.class_code[row])
        return None if code < 0 else self.classes[code]

    def sha256(self, row: int) -> str:
        return self.digests[row].tobytes().hex()

    def classes_of(self, rows: np.ndarray) -> list[str | None]:
        return [None if code < 0 else self.classes[code] for code in self.class_code[rows].tolist()]

    def sha256s(self, rows: np.ndarray) -> list[str]:
        return [digest.tobytes().hex() for digest in self.digests[rows]]

    def find_id(self, id: int) -> int | None:
        """The row of an id, or None."""
        row = int(np.searchsorted(self.id, id))
        return row if row < len(self.id) and self.id[row] == id else None

    def find_path(self, path: str) -> int | None:
        """The row of a path, or None."""
        paths, order = self._arrays["path"], self._arrays["path_order"]
        wanted = path.encode("utf-8", "surrogateescape")
        place = bisect.bisect_left(order, wanted, key=lambda row: bytes(paths[row]))
        return int(order[place]) if place < len(order) and bytes(paths[order[place]]) == wanted else None

    def rows_of_class(self, name: str) -> np.ndarray:
        """Rows (n,) int64 of a class, ascending.

        Raises
        ------
        NotFound
        """
        return np.flatnonzero(self.class_code == self.code_of(name))

    def code_of(self, name: str) -> int:
        """The code of a class.

        Raises
        ------
        NotFound
        """
        place = bisect.bisect_left(self.classes, name)
        if place == len(self.classes) or self.classes[place] != name:
            known = ", ".join(self.classes[:20]) + (", …" if len(self.classes) > 20 else "")
            raise NotFound(f"the index has no class {name!r}; it has {known or 'none'}")
        return place


def _within(numbers: np.ndarray, low: int, end: int = 2**31) -> bool:
    return not len(numbers) or (int(numbers.min()) >= low and int(numbers.max()) < end)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
