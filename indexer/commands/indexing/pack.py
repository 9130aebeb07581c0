"""``pack``: write an index as one file."""

import argparse

from indexer.commands.options.shared import add_images_option, add_index
from indexer.store.remote import parse_location


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("to", type=parse_location, metavar="FILE", help="a file that does not exist yet, or a URL")
    command.add_argument("--with-originals", action="store_true", help="put the original images in as well")
    add_images_option(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.jobs.packing.pack import pack

    with Bar("packing", "byte") as bar:
        contents = pack(
            options.index, options.to, originals=options.with_originals, images=options.images, progress=bar.step
        )
    print(f"{options.to}: {len(contents.files)} files ({contents.originals} of them originals), {contents.bytes} bytes")
    return 0
