"""Hide images from every answer, at once and completely: the next generation is derived without them."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from indexer.derive import image_table
from indexer.derive.generation import Report, derive_and_publish
from indexer.errors import InvalidRequest, NotFound
from indexer.index.fingerprint import path_fingerprint
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.store.storage import Location


def remove(
    index: Location,
    ids: Collection[int] = (),
    paths: Collection[str] = (),
    class_: str | None = None,
    report: Report = lambda stage: None,
) -> Manifest:
    """Remove images by id, by path, or a whole class.

    `indexer.jobs.upkeep.compact.compact` then erases them from the files of the index. The original files stay where
    they are, and `indexer.jobs.build.add` leaves them out unless its ``again`` names them.

    Raises
    ------
    NotFound
        One of the images is not in the index; then nothing is removed.
    InvalidRequest
        No image is named, or no image would be left.
    NotAnIndex, IndexBusy
    """
    if not ids and not paths and class_ is None:
        raise InvalidRequest("name the images to remove: ids, paths or a class")
    with writing(index):
        manifest = read_manifest(index)
        table = image_table.ImageTable(index, manifest.derived["images"])
        rows = _select(table, ids, paths, class_)
        if len(rows) == manifest.images:
            raise InvalidRequest("that would remove every image; delete the index instead")
        removed = sorted({*manifest.removed, *table.id[rows].tolist()})
        left_out = sorted({*manifest.left_out, *map(path_fingerprint, table.paths(rows))})
        return derive_and_publish(index, replace(manifest, removed=removed, left_out=left_out), report)


def _select(
    table: image_table.ImageTable, ids: Collection[int], paths: Collection[str], class_: str | None
) -> np.ndarray:
    rows = {path: table.find_path(path) for path in paths} | {id: table.find_id(id) for id in ids}
    unknown = [str(name) for name, row in rows.items() if row is None]
    if unknown:
        raise NotFound(f"not in the index: {', '.join(sorted(unknown)[:10])}")
    selected = [row for row in rows.values() if row is not None]
    if class_ is not None:
        selected += table.rows_of_class(class_).tolist()
    return np.unique(selected)
