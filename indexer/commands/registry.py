"""The list of commands, and a parser that imports a command's module only when that command is chosen."""

import argparse
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast


class Module(Protocol):
    """The functions that the module of a command must have."""

    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True)
class Command:
    """A command: its name, a line about what it does, and the name of its module."""

    name: str
    text: str
    module: str

    def load(self) -> Module:
        return cast(Module, importlib.import_module(self.module))


def _in(room: str, name: str, text: str) -> Command:
    return Command(name, text, f"indexer.commands.{room}.{name.replace('-', '_')}")


COMMANDS: Final = (
    _in("indexing", "build", "build an index, or finish a build that was interrupted"),
    _in("indexing", "add", "index images that are new in the place that the others come from, or in a list"),
    _in("indexing", "remove", "hide images from every answer; add leaves them out"),
    _in("indexing", "compact", "erase removed images from disk"),
    _in("indexing", "add-layers", "keep further layers of the images that are indexed"),
    _in("indexing", "drop-layers", "leave layers out of an index"),
    _in("deriving", "dictionary", "learn directions of a layer, and keep them as a layer of their own"),
    _in(
        "deriving", "effective-field", "measure which part of a layer's receptive fields matters, on a sample of images"
    ),
    _in("deriving", "scores", "work out how clear, how mixed and how redundant the neurons of a layer are"),
    _in("deriving", "atlas", "lay cells of a layer out in two dimensions, alike ones next to each other"),
    _in("deriving", "patch-vectors", "encode top patches by an image-text encoder, so that texts find neurons"),
    _in("deriving", "neuron-atlas", "lay the neurons of a layer out in two dimensions, by what they fire for"),
    _in("indexing", "verify", "compare every file with its checksum"),
    _in("indexing", "upgrade", "rewrite an index of an older format, without running the network"),
    _in("indexing", "info", "describe an index"),
    _in("indexing", "relabel", "update corrected classes and the paths of moved files, without running the network"),
    _in("learning", "report", "say what the neurons of an index have learned"),
    _in("learning", "neurons", "list the neurons of a layer with their statistics and scores"),
    _in("learning", "mistakes", "list the images that the network answers wrongly"),
    _in("learning", "why", "say which neurons made the network answer so"),
    Command(
        "what-if", "say what the network would answer if neurons were changed", "indexer.commands.learning.what_if"
    ),
    _in("learning", "importance", "silence each neuron of a layer alone, and see what it does to the answers"),
    _in("learning", "compare", "compare a layer in two indexes of the same images"),
    _in("learning", "trend", "show how indexes of a network change over its training"),
    _in("learning", "describe", "propose names for the neurons of a layer"),
    _in("learning", "fires-for", "list the neurons of a layer that fire for what a text says"),
    _in("drawing", "sheet", "draw the top patches of neurons, one line for each neuron"),
    _in("drawing", "saliency", "draw why a neuron fires at a cell of an image"),
    _in("drawing", "make", "make images for neurons: what each would like to see"),
    _in("drawing", "export", "write top patches as a COCO data set (labels.json, data/) with crops"),
    _in("drawing", "export-activations", "write the activations of a layer, for programs that train on them"),
    _in("indexing", "pack", "write an index as one file, which can be handed on"),
    _in("indexing", "unpack", "make an index of such a file, and check all of it"),
    _in("drawing", "page", "write one HTML file, with all pictures in it, that shows what the neurons fire for"),
)
"""The commands, in the order in which the help lists them."""


class _CommandParser(argparse.ArgumentParser):
    """The parser of one command. It gets its options when it is first used.

    Its result also holds the unparsed arguments, as ``arguments``.
    """

    command: Command | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.fill()
        self.set_defaults(arguments=args)
        return super().parse_known_args(args, namespace)

    def fill(self) -> None:
        """Add the options of the command, once."""
        if self.command is not None:
            module, self.command = self.command.load(), None
            module.add_options(self)
            self.set_defaults(run=module.run)


def make_parser(prog: str, commands: Sequence[Command] = COMMANDS) -> argparse.ArgumentParser:
    """A parser of these commands, which have no options yet."""
    parser = argparse.ArgumentParser(prog=prog, description="See what every neuron fires for.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_CommandParser)
    for command in commands:
        description = command.text[0].upper() + command.text[1:] + "."
        subparsers.add_parser(command.name, help=command.text, description=description).command = command
    return parser


def filled(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser with the options of every command, which shell completion needs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                subparser.fill()
    return parser
