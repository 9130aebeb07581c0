"""Which column of a list holds the paths, and which the classes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from indexer.errors import InvalidRequest
from indexer.store.storage import Location

_PATHS: Final = frozenset(
    ("path", "file", "image", "img", "filename", "filepath", "imagename", "imagefile", "imagepath", "imagefilename",
     "imgname", "imgfile", "imgpath", "relativepath", "relpath")
)  # fmt: skip
_CLASSES: Final = frozenset(
    ("class", "label", "category", "target", "classes", "labels", "classname", "classlabel", "labelname",
     "categoryname", "targetname")
)  # fmt: skip
"""Names of columns, without signs between words."""


@dataclass(frozen=True)
class Wanted:
    """The names that a person gave, if any."""

    path: str | None = None
    class_: str | None = None


FOUND_BY_NAME: Final = Wanted()


@dataclass(frozen=True)
class Columns:
    """Names as they stand in the list.

    Attributes
    ----------
    path : str
    class_ : str or None
        None where the list has no classes.
    ignored : tuple of str
        All others.
    """

    path: str
    class_: str | None
    ignored: tuple[str, ...]


def choose(source: Location, names: Sequence[str], wanted: Wanted) -> Columns:
    """Find the columns of paths and classes, as a person named them or by the names that are usual.

    Spaces around a name, and capital letters, do not matter.

    Raises
    ------
    InvalidRequest
        There is no such column, or more than one; the message names the option that decides.
    """
    path = _find(source, names, wanted.path, _PATHS, "path")
    if path is None:
        raise InvalidRequest(
            f"{source}: none of its columns is known to hold paths ({_listed(names)}); the header must name a 'path' "
            "column, or --path-column NAME says which it is"
        )
    class_ = _find(source, names, wanted.class_, _CLASSES, "class")
    if path == class_:
        raise InvalidRequest(f"{source}: the column {path!r} cannot hold both paths and classes")
    return Columns(path, class_, tuple(name for name in names if name not in (path, class_)))


def _find(source: Location, names: Sequence[str], wanted: str | None, usual: frozenset[str], what: str) -> str | None:
    if wanted is not None:
        found = [name for name in names if name == wanted.strip()] or [n for n in names if _plain(n) == _plain(wanted)]
        if not found:
            raise InvalidRequest(f"{source} has no column {wanted!r} (--{what}-column); it has {_listed(names)}")
    else:
        found = [name for name in names if _plain(name) in usual]
    if len(set(found)) > 1:
        raise InvalidRequest(f"{source}: {_listed(found)} could each be the {what}; say which by --{what}-column NAME")
    if len(found) > 1:
        raise InvalidRequest(f"{source}: {len(found)} columns are called {found[0]!r}; rename all but one")
    return found[0] if found else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.strip()).casefold()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return (shown + (", …" if len(names) > 20 else "")) or "it is empty"
