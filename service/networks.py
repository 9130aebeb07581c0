"""The networks that uploads are sent through: loaded when first needed, checked against the index, kept."""

import logging
import threading
from collections import OrderedDict
from typing import Final

import numpy as np
from PIL import Image

from indexer.errors import BadActivations, ImageRejected, ModelUnavailable, UnitscopeError
from indexer.network.attribution import Unit, unit_of
from indexer.network.forward import Network
from indexer.query.index import Index

log = logging.getLogger(__name__)

_KEPT: Final = 4


class Networks:
    """Networks by the configuration of an index, so that a new generation does not load its network again.

    Parameters
    ----------
    model : str or None
        The ``module:factory`` for indexes that were built from one. That a manifest names one is no reason to import
        it: the person who starts the service has to.
    weights : str or None
        Where the weights are, if not where they were.
    """

    def __init__(self, model: str | None, weights: str | None) -> None:
        self._model = model
        self._weights = weights
        self._loaded: OrderedDict[str, Network] = OrderedDict()
        self._lock = threading.Lock()

    def maps(self, index: Index, picture: Image.Image) -> dict[str, np.ndarray]:
        """Maps (C, H, W) float32 of every layer of the index for an RGB picture.

        Raises
        ------
        ModelUnavailable
            The network cannot be loaded here.
        ImageRejected
            The network gives nothing for the picture that can be compared.
        """
        with self._lock:  # a network's hooks see every pass through it, so there is one at a time
            try:
                maps = self._network(index).maps([picture])
            except BadActivations as error:
                raise ImageRejected(str(error)) from error
        for layer, batch in maps.items():
            if not np.isfinite(batch).all():
                raise ImageRejected(f"the network gives numbers that are not finite for this image, in layer {layer}")
        return {layer: batch[0] for layer, batch in maps.items()}

    def unit(self, index: Index, layer: str, neuron: int, y: int, x: int) -> Unit:
        """A cell of a neuron as a function of the input, for one caller alone.

        Raises
        ------
        ModelUnavailable
        """
        with self._lock:
            return unit_of(self._network(index), layer, neuron, y, x)

    def _network(self, index: Index) -> Network:
        key = index.manifest.configuration.digest
        if key not in self._loaded:
            self._loaded[key] = self._load(index)
            if len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _load(self, index: Index) -> Network:
        recorded = index.manifest.configuration.model
        own = ":" in recorded
        if own and self._model is None:
            raise ModelUnavailable("this index was built from a network of its owner's; start the service with --model")
        try:
            return index.network(weights=self._weights, model=self._model if own else None)
        except UnitscopeError as error:  # its message is for the person who started the service: it names files
            log.warning("the network of index %s cannot be loaded: %s", index.name, error)
            raise ModelUnavailable(
                "the network of this index cannot be loaded, the log of the service says why; --weights and --model "
                "tell the service where it is"
            ) from error
