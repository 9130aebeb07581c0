"""``unpack``: make an index of the file that ``pack`` has written."""

import argparse
import signal
from pathlib import Path
from typing import Any

from indexer.store.remote import parse_location


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("packed", type=parse_location, metavar="FILE", help="the file, or its URL")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that does not exist yet")


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.jobs.packing.unpack import unpack

    signal.signal(signal.SIGTERM, _end)  # by an exception, so that nothing is left behind
    with Bar("unpacking", "byte") as bar:
        contents = unpack(options.packed, options.folder, progress=bar.step)
    print(f"{options.folder}: {len(contents.files)} files ({contents.originals} of them originals), all as they were")
    return 0


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)
