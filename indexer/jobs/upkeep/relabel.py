"""Update the classes and paths that have changed since images were indexed. The network does not run."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from indexer.derive.generation import derive_and_publish
from indexer.derive.image_table import ImageTable
from indexer.derive.labels import Labels, read_labels
from indexer.errors import InvalidRequest
from indexer.images.columns import Wanted
from indexer.images.listing import ImageFile, Listing
from indexer.images.reading import file_digest
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.told_outputs import NOTHING_SAID, Telling
from indexer.inputs.categories import check_categories
from indexer.inputs.class_map import check_class_map, say_unknown
from indexer.jobs.origin.sources import Say
from indexer.jobs.origin.taking_in import remember, taken_in
from indexer.jobs.plan import refuse_unfinished
from indexer.jobs.reporter import Reporter
from indexer.store.storage import Location
from indexer.system.cores import cores

_UNREADABLE = b""
_SHOWN = 3


@dataclass(frozen=True)
class Relabelled:
    """The result of `relabel`: the manifest as published, and how many images got another path or another class."""

    manifest: Manifest
    moved: int
    classes: int


def relabel(
    index: Location,
    images: Location | None = None,
    columns: Wanted | None = None,
    quick: bool = False,
    reporter: Reporter | None = None,
    categories: Sequence[str] | None = None,
    telling: Telling = NOTHING_SAID,
) -> Relabelled:
    """Update the classes of images, and the paths of moved images, to what they are now; then derive the index anew.

    An image was moved if its bytes are found under another path. Images that are gone keep their path and class.
    `indexer.jobs.build.add` takes in new ones.

    Parameters
    ----------
    index : Path
    images : Path, optional
        A list, which the index then remembers; by default the place that the index takes its images from.
    columns : Wanted, optional
        The columns of the list.
    quick : bool
        Read only files whose path or size is not that of an indexed image. This misses images of equal size that
        exchanged their names.
    reporter : Reporter, optional
    categories : sequence of str, optional
        The names of the network's outputs from now on.
    telling : Telling
        What is said of the outputs from now on.

    Raises
    ------
    InvalidRequest
        The index has an unfinished job, the images are gone, or two images would have one path.
    NotAnIndex, IndexBusy
    """
    reporter = reporter or Reporter()
    with writing(index):
        manifest = read_manifest(index)
        refuse_unfinished(index, manifest)
        table = ImageTable(index, manifest.derived["images"])
        intake, listing = taken_in(manifest, table, images, columns, reporter.note)
        matching = _Matching(table, listing, quick, reporter.progress)
        reporter.total(matching.to_read)
        changed, moved, classes = _changes(table, matching.rows(), listing.classes)
        _say_rest(table, matching, reporter.note)
        renamed = _with_answers(manifest, categories, telling)
        if telling.classes is not None:
            say_unknown(telling.classes, _classes_after(table, changed), reporter.note)
        if not changed and renamed == manifest:
            return Relabelled(remember(index, manifest, intake, reporter.stage), 0, 0)
        labels = Labels(read_labels(index, manifest).changed | changed)
        manifest = replace(renamed, intake=intake)
        return Relabelled(derive_and_publish(index, manifest, reporter.stage, labels=labels), moved, classes)


def _with_answers(manifest: Manifest, categories: Sequence[str] | None, telling: Telling) -> Manifest:
    """The manifest with other names of the network's outputs, and with what is said of them.

    Raises
    ------
    InvalidRequest
        They do not fit the outputs, if it is known which layer holds these.
    """
    names = manifest.categories if categories is None else list(categories)
    told = telling.after(manifest.told_outputs)
    for layer in manifest.configuration.layers:
        if layer.name == manifest.output:
            if categories is not None:
                check_categories(names, layer.name, layer.channels)
            check_class_map(told.classes, names, layer.channels)
    return replace(manifest, categories=names, told_outputs=told)


def _classes_after(table: ImageTable, changed: Mapping[int, tuple[str, str | None]]) -> set[str]:
    """The classes of all images once some labels have changed."""
    rows = zip(table.id.tolist(), map(table.class_of, range(len(table.id))), strict=True)
    return {(changed[id_][1] if id_ in changed else class_) or "" for id_, class_ in rows}


def _changes(
    table: ImageTable, rows: dict[int, ImageFile], has_classes: bool
) -> tuple[dict[int, tuple[str, str | None]], int, int]:
    """The changed labels by id, and how many paths and how many classes have changed."""
    changed, moved, classes = {}, 0, 0
    for row, file in rows.items():
        old = (table.path(row), table.class_of(row))
        new = (file.path, file.class_ if has_classes else old[1])
        if new != old:
            changed[int(table.id[row])] = new
            moved += new[0] != old[0]
            classes += new[1] != old[1]
    return changed, moved, classes


class _Matching:
    """Matches the files of a listing with the images of a table, by their bytes.

    Attributes
    ----------
    to_read : int
        The number of listed files that are read.
    gone, unlisted, altered : list of int
        Rows whose file is gone, rows whose file exists but is not listed, and rows whose file now has other bytes.
        `rows` fills them.
    """

    def __init__(self, table: ImageTable, listing: Listing, quick: bool, progress: Callable[[int], None]) -> None:
        self._table, self._root, self._progress = table, listing.root, progress
        self._files = {file.path: file for file in listing.files}
        self._row_of = {path: row for row, path in enumerate(table.paths())}
        self._same: set[str] = set()
        if quick:
            self._same = {path for path in self._files if self._has_size_of_row(path)}
        self._reading = [path for path in self._files if path not in self._same]
        if quick and all(path in self._files and path in self._same for path in self._row_of):
            self._reading = []  # every image is where it was, so the other files are new
        self.to_read = len(self._reading)
        self._quick = quick
        self.gone: list[int] = []
        self.unlisted: list[int] = []
        self.altered: list[int] = []

    def rows(self) -> dict[int, ImageFile]:
        """The file of each row that has one.

        Raises
        ------
        InvalidRequest
            Two images would have one path.
        """
        matched = {self._row_of[path]: self._files[path] for path in self._same}
        others: dict[bytes, list[str]] = defaultdict(list)
        for path, digest in self._digests():
            row = self._row_of.get(path)
            if row is not None and digest == self._digest(row):
                matched[row] = self._files[path]
            elif digest != _UNREADABLE:
                others[digest].append(path)
        lost = [row for row in self._row_of.values() if row not in matched and not self._is_unlisted(row)]
        matched |= self._moved(lost, others)
        taken = {file.path for file in matched.values()}
        for row in lost:
            path = self._table.path(row)
            if row in matched:
                continue
            if path in taken:
                raise InvalidRequest(
                    f"the file of image {int(self._table.id[row])} ({path}) is gone, and another image has its name "
                    f"now; hide it first: remove INDEX --id {int(self._table.id[row])}"
                )
            if path in self._files:
                matched[row] = self._files[path]
                self.altered.append(row)
            else:
                self.gone.append(row)
        return matched

    def _is_unlisted(self, row: int) -> bool:
        """Whether an image is not listed, but is still where it was."""
        path = self._table.path(row)
        if path in self._files:
            return False
        unlisted = self._has_size_of_row(path) if self._quick else self._read(path) == self._digest(row)
        if unlisted:
            self.unlisted.append(row)
        return unlisted

    def _moved(self, lost: list[int], others: dict[bytes, list[str]]) -> dict[int, ImageFile]:
        """The file of each row that is found under another path.

        Among files with equal bytes, one that kept the image's file name is preferred.
        """
        rows_of: dict[bytes, list[int]] = defaultdict(list)
        for row in lost:
            rows_of[self._digest(row)].append(row)
        moved = {}
        for digest, rows in rows_of.items():
            paths = list(others.get(digest, ()))
            for by_name in (True, False):
                for row in [row for row in rows if row not in moved]:
                    name = PurePosixPath(self._table.path(row)).name
                    path = next((p for p in paths if not by_name or PurePosixPath(p).name == name), None)
                    if path is not None:
                        paths.remove(path)
                        moved[row] = self._files[path]
        return moved

    def _digests(self) -> Iterable[tuple[str, bytes]]:
        with ThreadPoolExecutor(cores()) as pool:
            for path, digest in zip(self._reading, pool.map(self._read, self._reading), strict=True):
                self._progress(1)
                yield path, digest

    def _read(self, path: str) -> bytes:
        try:
            return file_digest(self._root / path)
        except OSError:
            return _UNREADABLE

    def _digest(self, row: int) -> bytes:
        digest: bytes = self._table.digests[row].tobytes()
        return digest

    def _has_size_of_row(self, path: str) -> bool:
        row, file = self._row_of.get(path), self._root / path
        try:
            return row is not None and file.stat().st_size == int(self._table.bytes[row])
        except OSError:
            return False


def _say_rest(table: ImageTable, matching: _Matching, say: Say) -> None:
    for rows, fate in (
        (matching.gone, "of the index are no longer there, and keep the path and the class that they have"),
        (matching.unlisted, "of the index are not listed, and keep the class that they have"),
        (matching.altered, "have changed since they were indexed, and have the class of their path"),
    ):
        if rows:
            names = ", ".join(table.path(row) for row in rows[:_SHOWN])
            say(f"{len(rows)} images {fate}: {names}{', …' if len(rows) > _SHOWN else ''}")
