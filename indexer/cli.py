"""The command line: ``python -m indexer COMMAND``.

A command is a module of `indexer.commands` that is imported when the command is chosen. It has two functions:
``add_options(parser)``, which imports nothing large, so that help is quick; and ``run(options)``, which imports what
the work needs and returns the exit status.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Final

from indexer.commands.console.output import guarded, leave_at_once, tell
from indexer.commands.registry import COMMANDS, Command, make_parser
from indexer.errors import UnitscopeError

PROG: Final = "python -m indexer"


def main(arguments: Sequence[str] | None = None, prog: str = PROG, commands: Sequence[Command] = COMMANDS) -> int:
    """Run a command; 0 if it did what was asked, 1 if not, with a line on standard error that says why."""
    return main_of(lambda: make_parser(prog, commands), arguments)


def main_of(parser: Callable[[], argparse.ArgumentParser], arguments: Sequence[str] | None) -> int:
    """As `main`, with the commands of another parser."""
    status, written = guarded(lambda: run(parser().parse_args(arguments)))
    if arguments is None and not written:
        leave_at_once(status)
    return status


def run(options: argparse.Namespace) -> int:
    """Run the command that was chosen, and make a line of each error that a person can do something about."""
    try:
        status: int = options.run(options)
        return status
    except UnitscopeError as error:
        tell(f"unitscope: {error}")
        return 1
    except MemoryError:
        return _say_memory()
    except RuntimeError as error:
        if _lacks_memory(error):
            return _say_memory()
        raise
    except KeyboardInterrupt:
        tell("unitscope: interrupted; the same command resumes")
        return 130


def _say_memory() -> int:
    tell("unitscope: there is not enough memory; a smaller --batch-size or --crop takes less")
    return 1


def _lacks_memory(error: BaseException) -> bool:
    """Whether an error is Python's of memory, or torch's, which on a CPU has no class of its own."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)
    )
