"""See what every neuron of a convolutional network fires for.

1. ``unitscope.build("IMAGES", "INDEX", model="resnet18")`` runs images through a network.
2. ``index = unitscope.open("INDEX")`` answers questions about it; the command ``unitscope serve INDEX`` does so over
   HTTP. ``unitscope.connect("INDEX or URL")`` asks the same questions of files and of services.

What goes wrong is raised as one of `unitscope.errors`, whose base is `UnitscopeError`.
"""

from typing import TYPE_CHECKING, Any

from indexer import errors
from indexer.errors import (
    BadActivations,
    ConfigurationMismatch,
    DamagedFile,
    EngineUnavailable,
    ImageRejected,
    ImageUnavailable,
    IndexBusy,
    InvalidRequest,
    ModelUnavailable,
    NotAnIndex,
    NotFinite,
    NotFound,
    NotInstalled,
    NotReproducible,
    Stopped,
    StorageUnavailable,
    TookTooLong,
    UnitscopeError,
    UserCodeFailed,
)

if TYPE_CHECKING:
    from indexer.query.index import Index, open
    from unitscope.building import build
    from unitscope.client.connect import connect
    from unitscope.note_book import open_notes
    from unitscope.packing import pack, unpack

__version__ = "0.1.0"

__all__ = [
    "BadActivations",
    "ConfigurationMismatch",
    "DamagedFile",
    "EngineUnavailable",
    "ImageRejected",
    "ImageUnavailable",
    "Index",
    "IndexBusy",
    "InvalidRequest",
    "ModelUnavailable",
    "NotAnIndex",
    "NotFinite",
    "NotFound",
    "NotInstalled",
    "NotReproducible",
    "Stopped",
    "StorageUnavailable",
    "TookTooLong",
    "UnitscopeError",
    "UserCodeFailed",
    "build",
    "connect",
    "errors",
    "open",
    "open_notes",
    "pack",
    "unpack",
]


def __getattr__(name: str) -> Any:
    """Import what needs numpy or torch when it is asked for."""
    if name in ("Index", "open"):
        from indexer.query import index

        return getattr(index, name)
    if name == "build":
        from unitscope.building import build

        return build
    if name == "connect":
        from unitscope.client.connect import connect

        return connect
    if name == "open_notes":
        from unitscope.note_book import open_notes

        return open_notes
    if name in ("pack", "unpack"):
        from unitscope import packing

        return getattr(packing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
