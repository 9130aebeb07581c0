"""See what every neuron of a convolutional network fires for.

1. ``python -m indexer build IMAGES --model squeezenet1_1 --weights FILE --out INDEX`` runs images through a network.
2. ``index = indexer.open("INDEX")`` answers questions about it; ``python -m service INDEX`` does so over HTTP.
"""

from indexer.query.index import Index, open

__all__ = ["Index", "open"]
