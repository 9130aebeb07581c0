"""``notes``: write notes to a file of JSON lines, or bring them in from one."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    from service.notes.store import Notes

STANDARD: Final = "-"
"""Stands for standard output or standard input."""


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("export", "import"), help="write the file, or bring it in")
    command.add_argument(
        "file", metavar="FILE.jsonl", help="a subject a line, with its history; - for standard streams"
    )
    command.add_argument(
        "--notes", metavar="DIR|URL", help="the folder or PostgreSQL database; by default the user's data folder"
    )
    command.add_argument("--author", help="who brings the file in, for the history")


def run(options: argparse.Namespace) -> int:
    from service.notes.database import Database
    from service.notes.place import data_folder
    from service.notes.store import Notes

    notes = Notes(Database(options.notes or str(data_folder())))
    try:
        print(_export(notes, options.file) if options.action == "export" else _import(notes, options), file=sys.stderr)
    finally:
        notes.close()
    return 0


def _export(notes: "Notes", file: str) -> str:
    from indexer.store.atomic import creating
    from service.notes.exchange import export

    lines = list(export(notes))
    text = "".join(f"{line}\n" for line in lines)
    if file == STANDARD:
        sys.stdout.write(text)
    else:
        try:
            with creating(Path(file)) as partial:
                partial.write_text(text, "utf-8")
        except OSError as error:
            raise InvalidRequest(f"{file} cannot be written: {error}") from error
    return f"{len(lines)} subjects written"


def _import(notes: "Notes", options: argparse.Namespace) -> str:
    from service.notes.exchange import import_

    try:
        text = sys.stdin.read() if options.file == STANDARD else Path(options.file).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{options.file} cannot be read: {error}") from error
    new, changed, same = import_(notes, text.split("\n"), options.author)
    return f"{new} subjects new, {changed} changed, {same} the same"
