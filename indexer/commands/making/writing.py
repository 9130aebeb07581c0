"""The file that a made image is written to."""

import argparse
from pathlib import Path

from indexer.errors import InvalidRequest


def add_out_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, help="a file whose name ends in .png")


def check_png(path: Path) -> None:
    """Refuse a name that does not end in ``.png``, before any work.

    Raises
    ------
    InvalidRequest
    """
    if path.suffix.lower() != ".png":
        raise InvalidRequest(f"{path} must end in .png, as any other file would lose what was made")


def write(path: Path, png: bytes) -> None:
    """Write a PNG.

    Raises
    ------
    InvalidRequest
        It cannot be written.
    """
    try:
        path.write_bytes(png)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from error
