"""``verify``: compare every file of an index with its checksum, and repair damaged ones."""

import argparse

from indexer.commands.options.limits import add_limit_options, limits_of
from indexer.commands.options.shared import add_index, add_network_options


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--repair", action="store_true", help="rebuild damaged files from the original images")
    add_network_options(command)
    add_limit_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.index.manifest import read_manifest
    from indexer.jobs.upkeep.made_files import leftovers
    from indexer.jobs.upkeep.verify import verify

    faults = verify(options.index)
    for fault in faults:
        print(f"{fault.file}: {fault.cause}")
    left = leftovers(options.index, read_manifest(options.index))
    for file in left:
        print(f"{file}: of other layers or weights than the index has; --repair removes it")
    if not faults:
        print("every file is as it was written")
    if options.repair and (faults or left):
        _repair(options)
        return 0
    return 1 if faults else 0


def _repair(options: argparse.Namespace) -> None:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.upkeep.verify import repair

    reporter, limits = Bar().reporter, limits_of(options)
    manifest = repair(options.index, options.weights, options.device, reporter, limits, options.model)
    print_summary(options.index, manifest)
