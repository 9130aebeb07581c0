"""``fires-for``: list the neurons of a layer that fire for what a text says."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from indexer.commands.options.encoder import add_encoder_options, encoder_of
from indexer.commands.options.shared import add_index

if TYPE_CHECKING:
    from indexer.query.searching.by_text import FiresFor, Ranked


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("text", help="such as 'a photo of a wheel'; the encoder gets it as it is")
    command.add_argument("--layer", required=True, help="the layer")
    add_encoder_options(command, "the encoder that patch-vectors had", required=True)
    command.add_argument("--limit", type=int, default=20, help="at most so many neurons (%(default)s)")
    command.add_argument("--format", choices=["text", "json"], default="text", help="%(default)s by default")


def run(options: argparse.Namespace) -> int:
    from indexer.describe.by_text import find_by_text
    from indexer.query.index import open

    with open(options.index) as index:
        index.patch_vectors(options.layer)  # said before an encoder is loaded
        found = find_by_text(index, options.layer, encoder_of(options), options.text, options.limit)
    _WRITERS[options.format](found)
    return 0


def _as_text(found: "Ranked") -> None:
    for item in found.items:
        print(f"{item.neuron}: score {item.score:.3f}; {_check(item)}")
    print(
        f"{found.total} neurons have a score, {found.mean:.3f} on average, with a standard deviation of "
        f"{found.deviation:.3f}; {found.encoder.name}",
        file=sys.stderr,
    )
    if found.patches < found.wanted:
        print(
            f"{found.wanted - found.patches} of {found.wanted} top patches have no vector, so the ranking is made of "
            "the others; patch-vectors encodes them",
            file=sys.stderr,
        )


def _check(item: "FiresFor") -> str:
    if item.auc is None:
        return "not checked, it has too few patches"
    return f"held-out patches: AUC {item.auc:.2f}, at least {item.auc_at_least:.2f}"


def _as_json(found: "Ranked") -> None:
    from dataclasses import asdict

    print(json.dumps(asdict(found), indent=1))


_WRITERS = {"text": _as_text, "json": _as_json}
