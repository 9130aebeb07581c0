"""Paths and classes of images that have changed since their shard was written.

A shard never changes, but an image may be moved or get another class. The file lists such images with their current
path and class. Deriving a generation reads it beside the shards::

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
"""The key of the file in `Manifest.derived`."""


@dataclass(frozen=True)
class Labels:
    """Path and class by image id, for the images whose path or class differs from their shard's."""

    changed: dict[int, tuple[str, str | None]] = field(default_factory=dict)

    def of(self, image: IndexedImage) -> IndexedImage:
        """The image with its current path and class."""
        label = self.changed.get(image.id)
        return image if label is None else replace(image, path=label[0], class_=label[1])

    def among(self, ids: np.ndarray) -> "Labels":
        """The labels of these images only, so that nothing stays of a removed image."""
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
    """The labels of a generation; empty if every image has the path and class of its shard.

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
            raise DamagedFile(file, f"is not a list of labels of format version {VERSION}")
        return Labels({int(row["id"]): (str(row["path"]), row["class"]) for row in rows})
    except FileNotFoundError as error:
        raise DamagedFile(file, "is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(file, f"cannot be read ({error})") from error
