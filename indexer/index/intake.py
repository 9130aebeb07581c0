"""Where an index takes its images from, as its manifest records it."""

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
    """Where images come from, and which of them can be used.

    Attributes
    ----------
    folder : bool
        Whether all images below the image root are taken.
    lists : tuple of ListSource
        Lists that name images. If several lists name an image, the last one decides its class.
    follow_links : bool
        Whether symbolic links are followed, even out of the image root.
    max_pixels : int
        Images with more are skipped.
    """

    folder: bool = True
    lists: tuple[ListSource, ...] = ()
    follow_links: bool = False
    max_pixels: int = MAX_PIXELS

    def with_list(self, source: ListSource) -> "Intake":
        """This intake with a list added; an earlier entry for the same list is replaced."""
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
"""A folder, read with the defaults. A manifest leaves it out. Older programs left the intake out for a list too."""
