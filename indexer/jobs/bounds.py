"""The bounds of what a person may ask for."""

from typing import Final

from indexer.errors import InvalidRequest

MOST_SEED: Final = (1 << 63) - 1


def check_number(name: str, value: int, low: int, high: int) -> None:
    """Refuse a number that is out of its bounds.

    Raises
    ------
    InvalidRequest
    """
    if not low <= value <= high:
        raise InvalidRequest(f"{name} must be {low} to {high}, not {value}")
