"""Where an index takes its images from, as its manifest remembers it."""

from dataclasses import dataclass, replace
from typing import Any

from indexer.defaults import MAX_PIXELS
from indexer.images.columns import FOUND_BY_NAME, Wanted


@dataclass(frozen=True)
class ListSource:
    """A list: its absolute path or URL, and the columns that a person named."""

    path: str
    wanted: Wanted = FOUND_BY_NAME

    def to_json(self) -> dict[str, Any]:
        columns = {"path_column": self.wanted.path, "class_column": self.wanted.class_}
        return {"path": self.path} | {name: value for name, value in columns.items() if value is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ListSource":
        return cls(data["path"], Wanted(data.get("path_column"), data.get("class_column")))


@dataclass(frozen=True)
class Intake:
    """Where images come from, and which can be used.

    Attributes
    ----------
    folder : bool
        All images below the image root.
    lists : tuple of ListSource
        Images that lists name; of an image that several name, the last one says the class.
    follow_links : bool
        Whether symbolic links are followed, out of the image root too.
    max_pixels : int
        Images with more are skipped.
    """

    folder: bool = True
    lists: tuple[ListSource, ...] = ()
    follow_links: bool = False
    max_pixels: int = MAX_PIXELS

    def with_list(self, source: ListSource) -> "Intake":
        """With a list, instead of what is known of it so far."""
        return replace(self, lists=(*(known for known in self.lists if known.path != source.path), source))

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": self.folder,
            "lists": [source.to_json() for source in self.lists],
            "follow_links": self.follow_links,
            "max_pixels": self.max_pixels,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Intake":
        lists = tuple(ListSource.from_json(source) for source in data["lists"])
        return cls(data["folder"], lists, data["follow_links"], data["max_pixels"])


PLAIN = Intake()
"""A folder, read as usual. Manifests do not say it, nor did they where an older program was given a list."""
