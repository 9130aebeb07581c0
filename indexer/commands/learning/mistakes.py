"""``mistakes``: list the images that the network answers wrongly."""

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from indexer.commands.options.shared import add_index
from indexer.defaults import MISTAKE_SORTS

if TYPE_CHECKING:
    from indexer.query.learning.answering.mistakes import Mistake

_COLUMNS: Final = ("image", "path", "class", "answered", "confidence", "own_confidence", "rank")


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--class", dest="class_", help="only images of this class")
    command.add_argument("--answered", help="only images answered so: the class or the name of an output")
    command.add_argument(
        "--sort",
        choices=MISTAKE_SORTS,
        default=MISTAKE_SORTS[0],
        help="the most certain answers first, the lowest right answers first, or by id (%(default)s by default)",
    )
    command.add_argument("--limit", type=int, default=50, help="at most so many (%(default)s)")
    command.add_argument("--format", choices=["text", "json", "csv"], default="text", help="%(default)s by default")


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open
    from indexer.query.learning.answering.mistakes import mistakes
    from indexer.query.learning.answering.scores import scores

    with open(options.index) as index:
        page = mistakes(index, class_=options.class_, answered=options.answered, sort=options.sort, limit=options.limit)
        if options.format == "text":
            about = scores(index)
            outputs = about.judged.answers.outputs
            print(
                f"{about.accuracy:.1%} of {about.images} images are answered with their class, matched with "
                f"{outputs.layer} by {outputs.matched}; expected calibration error "
                f"{about.calibration_error:.3f}"
            )
            print(f"{page.total} mistakes; {len(page.items)} of them:")
    _WRITERS[options.format]([_row(mistake) for mistake in page.items])
    return 0


def _row(mistake: "Mistake") -> dict[str, Any]:
    values = (
        mistake.image.id, mistake.image.path, mistake.image.class_, mistake.answered, mistake.confidence,
        mistake.own_confidence, mistake.rank,
    )  # fmt: skip
    return dict(zip(_COLUMNS, values, strict=True))


def _as_text(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['path']}: {row['class']} answered as {row['answered']} ({row['confidence']:.1%}); "
            f"the right answer is number {row['rank']} ({row['own_confidence']:.1%})"
        )


def _as_json(rows: list[dict[str, Any]]) -> None:
    print(json.dumps(rows, indent=1))


def _as_csv(rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


_WRITERS: Final = {"text": _as_text, "json": _as_json, "csv": _as_csv}
