"""The networks that pictures are sent through: loaded when first needed, checked against the index, kept."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from indexer.errors import (
    BadActivations,
    ImageRejected,
    InvalidRequest,
    ModelUnavailable,
    UnitscopeError,
    UserCodeFailed,
)
from indexer.explain.asked import Asked, Said
from indexer.images.geometry import Box
from indexer.images.reading import read_picture
from indexer.index.configuration import Configuration
from indexer.index.loading import is_own
from service.inference.encoding import EncodedText, TextEncoder
from service.telemetry import metrics

if TYPE_CHECKING:
    from indexer.defaults import Method
    from indexer.network.forward import Network

log = logging.getLogger(__name__)

_KEPT: Final = 4


@dataclass(frozen=True)
class ForwardResult:
    """What a network makes of a picture.

    Attributes
    ----------
    width, height : int
        Of the picture, upright, in pixels.
    maps : dict of str to ndarray
        For each layer (C, H, W) float32.
    """

    width: int
    height: int
    maps: dict[str, np.ndarray]


@dataclass(frozen=True)
class Upload:
    """A decoded image: width and height, upright, and ``pixels`` (h, w, 3) uint8 as the network takes them."""

    width: int
    height: int
    pixels: np.ndarray


@dataclass(frozen=True)
class UnitAddress:
    """A neuron of a layer at one cell."""

    layer: str
    neuron: int
    y: int
    x: int


class Networks:
    """Networks by the configuration of an index, so that a new generation does not load its network again.

    torch is imported with the first picture, or by `preload`.

    Parameters
    ----------
    model : str or None
        The ``module:factory``, or a program's file, for indexes that were built from one. That a manifest names one is
        no reason to import it: the person who starts the service has to.
    weights : str or None
        Where the weights are, if not where they were.
    max_pixels : int
        The largest picture.
    arguments : tuple of (str, str)
        What factories are called with, see `indexer.index.loading.Loading`: what a manifest says is not passed on.
    encoder : TextEncoder, optional
        Encodes texts; it needs no index.
    """

    def __init__(
        self,
        model: str | None,
        weights: str | None,
        max_pixels: int,
        arguments: tuple[tuple[str, str], ...] = (),
        encoder: TextEncoder | None = None,
    ) -> None:
        self._model = model
        self._weights = weights
        self._arguments = arguments
        self._max_pixels = max_pixels
        self._encoder = encoder or TextEncoder(None)
        self._loaded: OrderedDict[str, Network] = OrderedDict()
        # One thing at a time: tracing a network that is being loaded replaces `nn.Module.__call__` for all of them.
        self._lock = threading.Lock()

    @staticmethod
    def preload() -> None:
        """Import what every network needs: some seconds, and some 400 MB."""
        import indexer.network.restore  # noqa: F401

    def forward(
        self, configuration: Configuration, data: bytes, layers: Collection[str] | None = None
    ) -> ForwardResult:
        """Decode an image file and send it through the network of an index.

        Parameters
        ----------
        layers : collection of str, optional
            Those that are wanted, by default all: the pass ends behind the last of them.

        Raises
        ------
        ModelUnavailable
            The network cannot be loaded here.
        ImageRejected
            The file is not an image that can be used, or the network fails on it, or gives nothing that can be
            compared.
        """
        (result,) = self.see(configuration, [self.read(configuration, data)], layers)
        return result

    def read(self, configuration: Configuration, data: bytes) -> Upload:
        """Decode an image file to what the network of an index takes.

        Raises
        ------
        ImageRejected
            The file is not an image that can be used.
        """
        picture = read_picture(data, self._max_pixels, configuration.preprocessing.value_range)
        return Upload(picture.width, picture.height, configuration.preprocessing.pixels(picture))

    def see(
        self, configuration: Configuration, uploads: Sequence[Upload], layers: Collection[str] | None = None
    ) -> list[ForwardResult]:
        """Send images through the network of an index in one pass.

        Raises
        ------
        ModelUnavailable, ImageRejected
            See `forward`; one of the images may be the cause for all.
        """
        with self.lent(configuration) as network, _refusing(configuration, ImageRejected, "on this image"):
            maps = network.maps_of([upload.pixels for upload in uploads], layers)
        for layer, batch in maps.items():
            if not np.isfinite(batch).all():
                raise ImageRejected(f"the network gives numbers that are not finite for this image, in layer {layer}")
        return [
            ForwardResult(upload.width, upload.height, {layer: batch[number] for layer, batch in maps.items()})
            for number, upload in enumerate(uploads)
        ]

    def attribute(
        self, configuration: Configuration, unit: UnitAddress, method: "Method", pixels: np.ndarray, field: Box | None
    ) -> np.ndarray:
        """What each input value adds to a unit's activation; see `indexer.network.attribution.attribute`.

        Raises
        ------
        ModelUnavailable, NotInstalled
        InvalidRequest
            There is no such method, or the network does not allow it.
        """
        from indexer.network.attribution import attribute, check_method
        from indexer.network.differentiable import unit_of

        check_method(method)
        when = f"when it is asked for method={method}"
        with self.lent(configuration) as network, _refusing(configuration, InvalidRequest, when):
            return attribute(unit_of(network, unit.layer, unit.neuron, unit.y, unit.x), pixels, method, field)

    @contextmanager
    def lent(self, configuration: Configuration) -> "Iterator[Network]":
        """The network of an index; nobody else uses it, or any other, meanwhile.

        Raises
        ------
        ModelUnavailable
        """
        with self._lock:
            yield self._network(configuration)

    def explain(self, configuration: Configuration, asked: Asked, pixels: np.ndarray) -> Said:
        """Which neurons pushed an output up or down; see `indexer.explain.pushes.explain`.

        Parameters
        ----------
        pixels : ndarray (h, w, 3) uint8
            As `Preprocessing.pixels` gives them.

        Raises
        ------
        ModelUnavailable
        InvalidRequest
            The network does not allow it.
        """
        from indexer.explain.pushes import explain

        when = "when neurons of this layer are silenced"
        with self.lent(configuration) as network, _refusing(configuration, InvalidRequest, when):
            return explain(network, asked, pixels)

    def explain_file(self, configuration: Configuration, asked: Asked, data: bytes) -> tuple[int, int, Said]:
        """As `explain`, for an image file; gives its width and height too.

        Raises
        ------
        ModelUnavailable, InvalidRequest
        ImageRejected
            The file is not an image that can be used.
        """
        picture = read_picture(data, self._max_pixels, configuration.preprocessing.value_range)
        pixels = configuration.preprocessing.pixels(picture)
        return picture.width, picture.height, self.explain(configuration, asked, pixels)

    def encode_text(self, text: str) -> EncodedText:
        """A text as a vector; ModelUnavailable where there is no encoder, or it fails."""
        with self._lock:
            return self._encoder.encode(text)

    def _network(self, configuration: Configuration) -> "Network":
        key = configuration.digest
        metrics.NETWORK_CACHE.labels("hit" if key in self._loaded else "miss").inc()
        if key not in self._loaded:
            self._loaded[key] = self._load(configuration)
            if len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _load(self, configuration: Configuration) -> "Network":
        from indexer.network.restore import network_of  # imports torch

        self._check_arguments(configuration)
        options: dict[str, Any] = {"weights": self._weights}
        if is_code(configuration.model):
            if self._model is None:
                raise ModelUnavailable(
                    "this index was built from a network of its owner's; start the service with --model"
                )
            options["model"] = self._model
        try:
            return network_of(configuration, **options)
        except Exception as error:  # a factory of one's own may raise anything
            # The message is for the person who started the service: it names files.
            unforeseen = not isinstance(error, UnitscopeError)
            log.warning("the network %s cannot be loaded: %s", configuration.model, error, exc_info=unforeseen)
            raise ModelUnavailable(
                "the network of this index cannot be loaded, the log of the service says why; --weights and --model "
                "tell the service where it is"
            ) from error

    def _check_arguments(self, configuration: Configuration) -> None:
        there = configuration.loading.arguments
        if there != self._arguments and (there or is_code(configuration.model)):
            log.warning(
                "the network %s was made with the arguments %s, and --model-args says %s",
                configuration.model, dict(there), dict(self._arguments),
            )  # fmt: skip
            raise ModelUnavailable(
                "the network of this index was made with other arguments than the service was started with; "
                "--model-args has to say the same, the log of the service has both"
            )


@contextmanager
def _refusing(configuration: Configuration, kind: type[UnitscopeError], when: str) -> Iterator[None]:
    """Raise failures of the network as this error. What the network's own code raised is for the log alone."""
    try:
        yield
    except BadActivations as error:
        raise kind(str(error)) from error
    except UserCodeFailed as error:  # for the person who started the service, with the line of the code
        log.warning("a question to the network %s failed: %s", configuration.model, error)
        raise kind(f"the network of this index fails {when}; the log of the service says why") from error


def is_code(model: str) -> bool:
    """Whether a model's name leads to somebody's code: ``module:factory``, or the file of a program."""
    return is_own(model) or "/" in model
