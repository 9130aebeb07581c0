"""``notes``: write notes to a file of JSON lines, bring them in from one, or propose names for another checkpoint."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    from service.notes.store import Notes

STANDARD: Final = "-"
"""Stands for standard output or standard input."""


def add_options(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = _action(actions, "export", "write all notes to a file, a subject a line, with its history")
    export.add_argument("file", metavar="FILE.jsonl", help="- for standard output")
    bring = _action(actions, "import", "bring such a file in; what is there already stays in the history")
    bring.add_argument("file", metavar="FILE.jsonl", help="- for standard input")
    bring.add_argument("--author", help="who brings the file in, for the history")
    suggest = _action(actions, "suggest", "bring in names that describe has proposed; a person accepts or refuses each")
    suggest.add_argument("file", metavar="FILE.jsonl", help="what describe --out has written; - for standard input")
    propose = _action(actions, "propose", "propose names for a later checkpoint; nothing is written")
    propose.add_argument("index", metavar="INDEX", help="the index whose neurons lack names")
    propose.add_argument("--from", dest="other", metavar="INDEX", required=True, help="the index with names")
    propose.add_argument("--layer", help="only of this layer; default: of each whose name both have")
    propose.add_argument("--least", type=float, default=0.5, help="the lowest correlation (%(default)s)")
    propose.add_argument("--format", choices=("text", "json"), default="text", help="(%(default)s)")


def _action(actions: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--notes", metavar="DIR|URL", help="the folder or PostgreSQL database; by default the user's data folder"
    )
    return parser


def run(options: argparse.Namespace) -> int:
    from service.notes.database.database import Database
    from service.notes.database.place import data_folder
    from service.notes.store import Notes

    notes = Notes(Database(options.notes or str(data_folder())))
    try:
        if options.action == "propose":
            _propose(notes, options)
        else:
            print(_ACTIONS[options.action](notes, options), file=sys.stderr)
    finally:
        notes.close()
    return 0


def _propose(notes: "Notes", options: argparse.Namespace) -> None:
    from indexer.query.index import open
    from service.notes.exchange.proposing import proposals

    with open(options.index) as index, open(options.other) as other:
        found = proposals(notes, index, other, layer=options.layer, least=options.least)
    for proposal in found:
        if options.format == "json":
            print(json.dumps(asdict(proposal)))
        else:
            only = "" if proposal.mutual else ", whose own best counterpart is another"
            reason = f"counterpart {proposal.counterpart} in {proposal.other}, r = {proposal.correlation:.2f}{only}"
            print(f"{proposal.layer} {proposal.neuron}: proposed {proposal.name!r} ({reason})")
    print(f"{len(found)} names proposed; none is written", file=sys.stderr)


def _export(notes: "Notes", options: argparse.Namespace) -> str:
    from indexer.store.atomic import creating
    from service.notes.exchange.lines import export

    file, lines = options.file, list(export(notes))
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
    from service.notes.exchange.lines import import_

    new, changed, same = import_(notes, _lines(options.file), options.author)
    return f"{new} subjects new, {changed} changed, {same} the same"


def _suggest(notes: "Notes", options: argparse.Namespace) -> str:
    from service.notes.exchange.suggestions import suggest

    count, refused = suggest(notes, _lines(options.file))
    return f"{count} names proposed, {refused} of them refused before"


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == STANDARD else Path(file).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file} cannot be read: {error}") from error
    return text.split("\n")


_ACTIONS: Final = {"export": _export, "import": _import, "suggest": _suggest}
