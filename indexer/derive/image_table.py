"""The image table of a generation: every image that answers cover, in order of ids."""

import bisect
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from indexer.derive.labels import NO_LABELS, Labels
from indexer.errors import DamagedFile, NotFound
from indexer.index import hdf5
from indexer.shards.reader import Shard
from indexer.shards.records import IndexedImage
from indexer.store.storage import Location

KIND = "unitscope image table"
VERSION = 2
ALL = slice(None)
_ODD = re.compile("[\udc80-\udcff]")  # bytes of a name that are not UTF-8
_NUMBERS = {
    "id": np.int64, "shard": np.int32, "row": np.int32, "width": np.int32, "height": np.int32, "bytes": np.int64,
    "class": np.int32,
}  # fmt: skip
_COLUMNS = {*_NUMBERS, "sha256", "path", "path_order", "classes"}


def write_image_table(
    path: Path, shards: Iterable[Shard], removed: Collection[int], labels: Labels = NO_LABELS
) -> None:
    """Write the table of all images except those whose ids are in ``removed``; ``shards`` is iterated twice.

    ``labels`` gives the paths and classes that differ from the shards'.

    Memory holds the images of one shard at a time, and at the end the order of the paths: 24 bytes an image.
    """
    survey = _survey(shards, removed, labels)
    code = {name: number for number, name in enumerate(survey.classes)}
    with hdf5.create_file(path, KIND, VERSION) as file:
        for name, kind in {**_NUMBERS, "path": f"S{survey.longest}"}.items():
            file.create_dataset(name, (survey.images,), kind)
        file.create_dataset("sha256", (survey.images, 32), np.uint8)
        start = 0
        for number, shard in enumerate(shards):
            columns = _columns(_live(shard, removed, labels), number, code)
            end = start + len(columns["id"])
            for name, values in columns.items() if end > start else ():
                file[name][start:end] = values
            start = end
        file.create_dataset("classes", data=_strings(survey.classes))
        order = file.create_dataset("path_order", (survey.images,), np.int64)
        file.flush()
        if survey.images:
            order[:] = np.argsort(_mapped_paths(path, file["path"]), kind="stable")


@dataclass(frozen=True)
class _Survey:
    images: int
    longest: int
    classes: list[str]


def _survey(shards: Iterable[Shard], removed: Collection[int], labels: Labels) -> _Survey:
    images, longest = 0, 1
    classes: set[str] = set()
    for shard in shards:
        for _, image in _live(shard, removed, labels):
            images += 1
            longest = max(longest, len(_bytes(image.path)))
            if image.class_ is not None:
                classes.add(image.class_)
    return _Survey(images, longest, sorted(classes))


def _live(shard: Shard, removed: Collection[int], labels: Labels) -> list[tuple[int, IndexedImage]]:
    return [(row, labels.of(image)) for row, image in enumerate(shard.images()) if image.id not in removed]


def _columns(live: list[tuple[int, IndexedImage]], shard: int, code: dict[str, int]) -> dict[str, np.ndarray]:
    images = [image for _, image in live]
    columns = {
        "shard": [shard] * len(live),
        "row": [row for row, _ in live],
        "class": [-1 if image.class_ is None else code[image.class_] for image in images],
        "id": [image.id for image in images],
        "width": [image.width for image in images],
        "height": [image.height for image in images],
        "bytes": [image.size for image in images],
    }
    return {
        **{name: np.array(values, _NUMBERS[name]) for name, values in columns.items()},
        "sha256": np.frombuffer(b"".join(image.sha256 for image in images), np.uint8).reshape(-1, 32),
        "path": _strings(image.path for image in images),
    }


def _mapped_paths(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    return np.memmap(path, dataset.dtype, "r", dataset.id.get_offset(), dataset.shape)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _strings(texts: Iterable[str]) -> np.ndarray:
    data = [_bytes(text) for text in texts]
    return np.array(data, f"S{max([1, *map(len, data)])}")


class ImageTable:
    """The image table of a generation, read through memory mapping.

    Each of its rows corresponds to one column of the layers' arrays.

    Attributes
    ----------
    id, shard, row, width, height, bytes, class_code : ndarray (N,)
        ``shard`` is a number in the manifest's list, ``row`` a row of that shard; ``class_code`` is -1 for no class.
    digests : ndarray (N, 32) uint8
        sha256 of each file.
    classes : list of str
        Sorted.
    """

    def __init__(self, index: Location, file: str) -> None:
        self._arrays = hdf5.map_arrays(index / file, file, KIND, VERSION)
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
        """Refuse a table whose columns do not fit together, or do not fit an index of so many shards.

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
        digest: bytes = self.digests[row].tobytes()
        return digest.hex()

    def classes_of(self, rows: np.ndarray) -> list[str | None]:
        return [None if code < 0 else self.classes[code] for code in self.class_code[rows].tolist()]

    def sha256s(self, rows: np.ndarray) -> list[str]:
        return [digest.tobytes().hex() for digest in self.digests[rows]]

    def find_id(self, id: int) -> int | None:
        """The row of an id, or None."""
        row = bisect.bisect_left(self.id, id)
        return row if row < len(self.id) and self.id[row] == id else None

    def find_path(self, path: str) -> int | None:
        """The row of a path, or None."""
        paths, order = self._arrays["path"], self._arrays["path_order"]
        wanted = path.encode("utf-8", "surrogateescape")
        rank = bisect.bisect_left(order, wanted, key=lambda row: bytes(paths[row]))
        return int(order[rank]) if rank < len(order) and bytes(paths[order[rank]]) == wanted else None

    def rows_with(self, text: str, most: int) -> list[int]:
        """Rows whose path contains a text, without regard to the case of ASCII letters; the first ``most``."""
        paths, wanted = self._arrays["path"], _bytes(text)
        width, rows = paths.dtype.itemsize, list[int]()
        if not wanted or b"\0" in wanted or not len(paths):
            return rows
        pattern, data, begin = re.compile(re.escape(wanted), re.IGNORECASE), paths.view(np.uint8).data, 0
        while len(rows) < most and (found := pattern.search(data, begin)):
            row = found.start() // width
            if (found.end() - 1) // width == row:  # it may also begin in one path and end in the next
                rows.append(row)
            begin = (row + 1) * width  # not behind the match: it may end in the next path
        return rows

    def id_of_digest(self, sha256: str) -> int | None:
        """The id of the first image whose file has this digest in hexadecimal; None where there is none."""
        wanted = np.frombuffer(bytes.fromhex(sha256), np.uint64)
        digests = self.digests.view(np.uint64)
        rows = np.flatnonzero(digests[:, 0] == wanted[0])  # seldom more than one
        rows = rows[(digests[rows] == wanted).all(axis=1)]
        return int(self.id[rows[0]]) if len(rows) else None

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
        return class_code(self.classes, name)


def class_code(classes: Sequence[str], name: str) -> int:
    """The number of a class in a sorted list of them; one that is not UTF-8 may be named as a URL brings it.

    Raises
    ------
    NotFound
    """
    code = bisect.bisect_left(classes, name)
    if code < len(classes) and classes[code] == name:
        return code
    like = [code for code, class_ in enumerate(classes) if name in _as_sent(class_)]
    if len(like) != 1:
        known = ", ".join(classes[:20]) + (", …" if len(classes) > 20 else "")
        raise NotFound(f"the index has no class {name[:100]!r}; it has {known or 'none'}")
    return like[0]


def _within(numbers: np.ndarray, low: int, end: int = 2**31) -> bool:
    return not len(numbers) or (int(numbers.min()) >= low and int(numbers.max()) < end)


def _as_sent(name: str) -> tuple[str, ...]:
    """The forms in which a URL brings back a name that is not UTF-8: unreadable bytes replaced, or still quoted."""
    if not _ODD.search(name):
        return ()
    return _bytes(name).decode("utf-8", "replace"), _ODD.sub(lambda odd: f"%{ord(odd[0]) - 0xDC00:02X}", name)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
