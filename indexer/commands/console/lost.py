"""What a command prints about originals that it did not find."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.pictures.lost import LostOriginals


def say_lost(lost: "LostOriginals", options: argparse.Namespace) -> None:
    """Say how many originals placeholders stand for, if there are any."""
    if summary := lost.summary(str(options.index)):
        print(summary)


def some_of(paths: list[str]) -> str:
    """The first of these paths, for a line."""
    return ", ".join(paths[:3]) + ", …" * (len(paths) > 3)
