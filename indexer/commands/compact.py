"""``compact``: erase removed images from disk."""

import argparse

from indexer.commands.common import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.progress import Bar
    from indexer.commands.summary import print_summary
    from indexer.jobs.compact import compact

    print_summary(options.index, compact(options.index, Bar().reporter.stage))
    return 0
