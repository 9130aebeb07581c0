"""Paths and classes of images that have changed since their shard was written.

A shard never changes, and an image may be moved, or get another class. The file lists such images, and what holds for
them now; whoever derives a generation from shards reads it beside them::

    {"format": "unitscope labels", "version": 1}
    {"id": 7, "path": "cat/a.jpg", "class": "cat"}
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer.errors import DamagedFile
from indexer.index.manifest import Manifest
from indexer.shards.records import IndexedImage
from indexer.store.storage import Location

FORMAT = "unitscope labels"
VERSION = 1
KEY = "labels"
"""What `Manifest.derived` calls the file."""


@dataclass(frozen=True)
class Labels:
    """Path and class by the id of an image, where they are others than in its shard."""

    changed: dict[int, tuple[str, str | None]] = field(default_factory=dict)

    def of(self, image: IndexedImage) -> IndexedImage:
        """An image as it is called now."""
        found = self.changed.get(image.id)
        return image if found is None else replace(image, path=found[0], class_=found[1])

    def among(self, ids: np.ndarray) -> "Labels":
        """Of these images only: of one that is removed nothing stays."""
        kept = set(np.intersect1d(ids, np.fromiter(self.changed, np.int64, len(self.changed))).tolist())
        return Labels({id: label for id, label in self.changed.items() if id in kept})

    def write(self, path: Path) -> None:
        rows: Iterable[dict[str, Any]] = (
            {"id": id, "path": name, "class": class_} for id, (name, class_) in sorted(self.changed.items())
        )
        with path.open("w", encoding="ascii") as file:
            for line in ({"format": FORMAT, "version": VERSION}, *rows):
                file.write(json.dumps(line) + "\n")


NO_LABELS = Labels()


def read_labels(index: Location, manifest: Manifest) -> Labels:
    """The labels of a generation; none where every image is called as in its shard.

    Raises
    ------
    DamagedFile
    """
    file = manifest.derived.get(KEY)
    if file is None:
        return NO_LABELS
    try:
        header, *rows = (json.loads(line) for line in (index / file).read_bytes().splitlines())
        if header != {"format": FORMAT, "version": VERSION}:
            raise DamagedFile(file, f"is no list of labels of format version {VERSION}")
        return Labels({int(row["id"]): (str(row["path"]), row["class"]) for row in rows})
    except FileNotFoundError as error:
        raise DamagedFile(file, "is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(file, f"cannot be read ({error})") from error
