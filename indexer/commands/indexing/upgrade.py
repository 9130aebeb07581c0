"""``upgrade``: rewrite an index of an older format."""

import argparse

from indexer.commands.options.shared import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.upkeep.upgrade import upgrade

    manifest = upgrade(options.index, Bar().reporter.stage)
    if manifest is None:
        print(f"{options.index} has today's format; nothing was changed")
    else:
        print_summary(options.index, manifest)
    return 0
