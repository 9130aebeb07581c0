"""Shell completion, by shtab: a script that is written once, so that no key waits for Python."""

import argparse
from pathlib import Path
from typing import Any

import shtab

from indexer.commands.registry import filled
from indexer.store.remote import parse_location


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The text that a shell is to read to complete all commands, their options, and files where those are taken."""
    _complete_files(filled(parser))
    return shtab.complete(parser, shell)


def _complete_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if action.type in (Path, parse_location):
            taking_files: Any = action
            taking_files.complete = shtab.FILE
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                _complete_files(subparser)
