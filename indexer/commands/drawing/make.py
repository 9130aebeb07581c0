"""``make``: make images for neurons."""

import argparse

from indexer.commands.making import art, dream, fool, optimal, wanted

_USES = (
    ("optimal", optimal, "what neurons would like to see, kept beside the index"),
    ("wanted", wanted, "images that do several things at once, or several that do the same and differ"),
    ("fool", fool, "an image changed a little that is answered otherwise, or noise that is answered with certainty"),
    ("dream", dream, "an image in which a layer sees more of what it sees already"),
    ("art", art, "an image with the content of one and the style of another"),
)


def add_options(command: argparse.ArgumentParser) -> None:
    uses = command.add_subparsers(dest="use", required=True, metavar="USE")
    for name, module, text in _USES:
        parser = uses.add_parser(name, help=text, description=text)
        module.add_options(parser)
        parser.set_defaults(make=module.run)


def run(options: argparse.Namespace) -> int:
    code: int = options.make(options)
    return code
