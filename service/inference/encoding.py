"""The encoder of texts that the service was started with: loaded when a text first needs it, and kept."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from indexer.derive.carried.patch_vectors import EncoderName
from indexer.errors import ModelUnavailable, UnitscopeError
from indexer.index.loading import Loading

if TYPE_CHECKING:
    from indexer.describe.encoder import Checked

log = logging.getLogger(__name__)

NO_ENCODER: Final = (
    "this service has no encoder of texts: --encoder names the module:factory by which patch-vectors has encoded the "
    "patches"
)


@dataclass(frozen=True)
class EncodedText:
    """A text as a vector (D,) float32 of length 1, and by which encoder."""

    by: EncoderName
    vector: np.ndarray


class TextEncoder:
    """An encoder by the ``module:factory`` that makes it, and the factory's arguments as settings have them."""

    def __init__(self, factory: str | None, arguments: tuple[tuple[str, str], ...] = ()) -> None:
        self._factory, self._arguments = factory, arguments
        self._loaded: Checked | None = None

    def encode(self, text: str) -> EncodedText:
        """Encode a text.

        Raises
        ------
        ModelUnavailable
            There is none, it cannot be loaded, or it fails; the message names the setting, and the log says why.
        """
        if self._factory is None:
            raise ModelUnavailable(NO_ENCODER)
        if self._loaded is None:
            self._loaded = self._load(self._factory)
        encoder = self._loaded.encoder
        try:
            (vector,) = self._loaded.texts([text])
        except UnitscopeError as error:
            log.warning("the encoder %s failed on a text: %s", self._factory, error)
            raise ModelUnavailable("the encoder of --encoder fails on this text; the log says why") from error
        return EncodedText(EncoderName(str(encoder.name), str(encoder.digest)), vector)

    def _load(self, factory: str) -> "Checked":
        from indexer.describe.encoder import Checked, load_encoder

        keywords: dict[str, Any] = Loading(self._arguments).keywords
        try:
            return Checked(load_encoder(factory, keywords))
        except UnitscopeError as error:  # the message is for the person who started the service: it names files
            log.warning("the encoder %s cannot be loaded: %s", factory, error)
            raise ModelUnavailable("the encoder of --encoder cannot be loaded here; the log says why") from error
