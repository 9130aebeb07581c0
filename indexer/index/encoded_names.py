"""The names of encoded layers: ``LAYER~DICTIONARY``. This module needs no torch."""

import re
from typing import Final

from indexer.errors import InvalidRequest

MARK: Final = "~"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def encoded_name(layer: str, dictionary: str) -> str:
    """The name of the layer that a dictionary makes of another.

    Raises
    ------
    InvalidRequest
        The layer is encoded itself, or the dictionary's name has other characters than letters, digits and ``._-``.
    """
    if MARK in layer:
        raise InvalidRequest(f"{layer} is encoded already; name the layer before the {MARK}")
    if not _NAME.fullmatch(dictionary):
        raise InvalidRequest(f"a dictionary's name is up to 64 letters, digits, dots, _ and -, not {dictionary!r}")
    return f"{layer}{MARK}{dictionary}"


def base_of(encoded: str) -> str:
    """The layer whose maps are encoded."""
    return encoded.rpartition(MARK)[0]
