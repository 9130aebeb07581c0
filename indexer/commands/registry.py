"""Which commands there are, and a parser that imports a command's module when that command is chosen."""

import argparse
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast


class Module(Protocol):
    """What the module of a command holds."""

    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@dataclass(frozen=True)
class Command:
    """A command: its name, what it does in a line, and the module that holds it."""

    name: str
    text: str
    module: str

    def load(self) -> Module:
        return cast(Module, importlib.import_module(self.module))


def _here(name: str, text: str) -> Command:
    return Command(name, text, f"indexer.commands.{name}")


COMMANDS: Final = (
    _here("build", "build an index, or finish a build that was interrupted"),
    _here("add", "index images that are new where the others come from, or those of a list"),
    _here("remove", "hide images from every answer; add leaves them out"),
    _here("compact", "erase removed images from disk"),
    _here("verify", "compare every file with its checksum"),
    _here("info", "say what an index is"),
    _here("relabel", "take over classes that were corrected and files that were moved, without the network"),
    _here("report", "say what the neurons of an index have learned"),
    _here("compare", "compare a layer in two indexes of the same images"),
    _here("trend", "show how indexes of a network change over its training"),
    _here("sheet", "draw the top patches of neurons, a line for each"),
    _here("saliency", "draw why a neuron fires at a cell of an image"),
    _here("export", "write top patches as a COCO data set (labels.json, data/) with crops"),
    _here("page", "write a page of what the neurons fire for: one HTML file with all pictures in it"),
)
"""In the order in which the help lists them."""


class _CommandParser(argparse.ArgumentParser):
    """The parser of one command, which gets its options when it is first used.

    The options that it gives hold its arguments as they were, too: ``arguments``.
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
    """A parser of these commands, with no options in them yet."""
    parser = argparse.ArgumentParser(prog=prog, description="See what every neuron fires for.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_CommandParser)
    for command in commands:
        description = command.text[0].upper() + command.text[1:] + "."
        subparsers.add_parser(command.name, help=command.text, description=description).command = command
    return parser


def filled(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """A parser with the options of every command, as shell completion needs them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                subparser.fill()
    return parser
