"""``python -m tests.load INDEX``."""

import argparse
import json
import tempfile
from dataclasses import fields
from pathlib import Path

from tests.load.run import Plan, load


def main() -> None:
    """Print what happened as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=Plan.__doc__)
    parser.add_argument("index", type=Path, metavar="INDEX")
    for item in fields(Plan):
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=type(item.default), default=item.default)
    options = vars(parser.parse_args())
    index = options.pop("index")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(load(index, Path(folder), Plan(**options)), indent=1))


if __name__ == "__main__":
    main()
