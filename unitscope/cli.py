"""The command ``unitscope``: those of `indexer.commands`, and those that need the service as well."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import unitscope
from indexer import cli
from indexer.commands.console.ending import leave
from indexer.commands.registry import COMMANDS, Command, make_parser

_SHELLS: Final = ("bash", "zsh", "tcsh")
_ALL: Final = (
    *COMMANDS,
    Command("serve", "answer questions about indexes over HTTP", "unitscope.serve"),
    Command("mcp", "let assistants ask, through the Model Context Protocol", "unitscope.mcp"),
    Command("notes", "write notes to a file, bring them in from one, or propose names", "unitscope.notes_command"),
    Command("look", "index images, if need be, and show their neurons in the browser", "unitscope.look"),
)


class _PrintCompletion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: str | None = None) -> None:
        from unitscope.completion import script

        print(script(parser, values))
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The parser of all commands, without the options of any."""
    made = make_parser("unitscope", _ALL)
    made.add_argument("--version", action="version", version=f"unitscope {unitscope.__version__}")
    made.add_argument(
        "--print-completion", action=_PrintCompletion, choices=_SHELLS, help="print a script that completes commands"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; see `indexer.cli.main`."""
    return cli.main_of(parser, arguments)


def command() -> NoReturn:
    """The console script ``unitscope``."""
    leave(main())


def old_indexer() -> NoReturn:
    """The console script ``unitscope-indexer``, as it was called before."""
    print("unitscope-indexer is now called `unitscope`; this name will go with the next release", file=sys.stderr)
    leave(cli.main(prog="unitscope-indexer"))


def old_service() -> NoReturn:
    """The console script ``unitscope-service``, as it was called before."""
    from service.__main__ import main as serve

    print("unitscope-service is now called `unitscope serve`; this name will go with the next release", file=sys.stderr)
    leave(serve(prog="unitscope-service"))
