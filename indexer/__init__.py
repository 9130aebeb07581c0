"""See what every neuron of a convolutional network fires for.

1. ``python -m indexer build IMAGES --model squeezenet1_1 --weights FILE --out INDEX`` runs images through a network.
2. ``index = indexer.open("INDEX")`` answers questions about it; ``python -m service INDEX`` does so over HTTP.
"""

from typing import TYPE_CHECKING, Any

from indexer import errors

if TYPE_CHECKING:
    from indexer.query.index import Index, open

__all__ = ["Index", "errors", "open"]


def __getattr__(name: str) -> Any:
    """Import what answers questions when it is asked for: parts of the package need nothing of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from indexer.query import index

    return getattr(index, name)
