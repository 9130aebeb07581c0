"""Finds the column of a list that holds the paths, and the one that holds the classes."""

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
"""Usual names of columns, without signs between words."""


@dataclass(frozen=True)
class Wanted:
    """The names of columns that a person gave, if any."""

    path: str | None = None
    class_: str | None = None


FOUND_BY_NAME: Final = Wanted()


@dataclass(frozen=True)
class Columns:
    """The chosen columns, by their names in the list.

    Attributes
    ----------
    path : str
    class_ : str or None
        None if the list has no classes.
    ignored : tuple of str
        All other columns.
    """

    path: str
    class_: str | None
    ignored: tuple[str, ...]


def choose(source: Location, names: Sequence[str], wanted: Wanted) -> Columns:
    """Find the columns of paths and classes, by the names that a person gave or by usual names.

    Spaces around a name, and capital letters, do not matter.

    Raises
    ------
    InvalidRequest
        There is no such column, or more than one. The message names the option that says which.
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


def _find(source: Location, names: Sequence[str], wanted: str | None, usual: frozenset[str], kind: str) -> str | None:
    if wanted is not None:
        fit = [name for name in names if name == wanted.strip()] or [n for n in names if _plain(n) == _plain(wanted)]
        if not fit:
            raise InvalidRequest(f"{source} has no column {wanted!r} (--{kind}-column); it has {_listed(names)}")
    else:
        fit = [name for name in names if _plain(name) in usual]
    if len(set(fit)) > 1:
        raise InvalidRequest(f"{source}: {_listed(fit)} could each be the {kind}; say which by --{kind}-column NAME")
    if len(fit) > 1:
        raise InvalidRequest(f"{source}: {len(fit)} columns are called {fit[0]!r}; rename all but one")
    return fit[0] if fit else None


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.strip()).casefold()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return (shown + (", …" if len(names) > 20 else "")) or "it is empty"
