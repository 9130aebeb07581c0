"""``compact``: erase removed images from disk."""

import argparse

from indexer.commands.options.shared import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.upkeep.compact import compact

    print_summary(options.index, compact(options.index, Bar().reporter.stage))
    return 0
