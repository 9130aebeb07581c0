"""``remove``: hide images from every answer."""

import argparse

from indexer.commands.options.shared import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--id", type=int, action="append", default=[], help="an image's id (repeatable)")
    command.add_argument(
        "--path", action="append", default=[], help="an image's path below the image root (repeatable)"
    )
    command.add_argument("--class", dest="class_", help="all images of a class")


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.upkeep.remove import remove

    manifest = remove(options.index, options.id, options.path, options.class_, Bar().reporter.stage)
    print_summary(options.index, manifest)
    return 0
