"""Prepare the demo data: ``python -m indexer.demo --out demo-data``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from indexer.demo.photos import PACKAGE_SOURCES, prepare_photos
from indexer.demo.stamps import debian_stamps
from indexer.demo.weights import write_weights
from indexer.errors import UnitscopeError

WEIGHTS = "squeezenet1_1.pth"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the weights and the photos that are missing. Returns 0, or 1 after saying what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m indexer.demo", description=__doc__)
    parser.add_argument("--only", choices=list(_PARTS), help="prepare one part (default: both)")
    parser.add_argument("--out", type=Path, default=Path("demo-data"), help="folder (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        for part in [options.only] if options.only else _PARTS:
            _PARTS[part](options.out)
    except UnitscopeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _weights(out: Path) -> None:
    path = out / WEIGHTS
    if not path.exists():
        write_weights(path)
    print(f"Weights: {path}", flush=True)


def _photos(out: Path) -> None:
    folder = prepare_photos(out, (*PACKAGE_SOURCES, debian_stamps))
    classes = [path for path in folder.iterdir() if path.is_dir()]
    count = sum(1 for path in folder.glob("*/*") if path.is_file())
    print(f"Photos: {count} in {len(classes)} classes, {folder}", flush=True)


_PARTS = {"weights": _weights, "photos": _photos}

if __name__ == "__main__":
    sys.exit(main())
