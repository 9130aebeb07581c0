"""``what-if``: say what the network would answer if neurons were changed."""

import argparse
from typing import TYPE_CHECKING, Any

from indexer.commands.options.explaining import add_explaining_options, print_found
from indexer.commands.options.shared import add_index
from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    from indexer.explain.edits import Edit

_OPTIONS = {"silence": False, "scale": True, "clamp": True, "mean": False}
"""Whether each edit takes a value."""


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons are changed")
    command.add_argument("--silence", metavar="N,N,…", help="neurons whose activations become 0")
    command.add_argument("--scale", metavar="N=X,…", help="neurons whose activations are multiplied by X")
    command.add_argument("--clamp", metavar="N=X,…", help="neurons whose activations become X at most")
    command.add_argument("--mean", metavar="N,N,…", help="neurons whose activations become their mean over the index")
    command.add_argument("--class", dest="class_", help="only images of this class")
    command.add_argument(
        "--exact", action="store_true", help="from the originals at full precision, in place of the kept maps"
    )
    command.add_argument("--limit", type=int, default=20, help="show so many changed images (%(default)s)")
    add_explaining_options(command)


def run(options: argparse.Namespace) -> int:
    edits = edits_of({name: getattr(options, name) for name in _OPTIONS})
    from indexer.commands.console.progress import Bar
    from indexer.explain.what_if import what_if
    from indexer.query.index import open

    with Bar("answering") as bar, open(options.index, options.images) as index:
        found = what_if(
            index, index.network(options.weights, options.device, options.model), options.layer, edits,
            class_=options.class_, exact=options.exact, progress=bar.step,
        ).as_dict()  # fmt: skip
    print_found(found, options, lambda: _print(found, options.limit))
    return 0


def edits_of(given: dict[str, str | None]) -> "list[Edit]":
    """Edits from the texts of their options.

    Raises
    ------
    InvalidRequest
        A text is not of the form that the option takes.
    """
    from indexer.explain.edits import Edit

    edits = []
    for how, text in given.items():
        for item in [] if text is None else text.split(","):
            number, equals, value = item.strip().partition("=")
            try:
                if bool(equals) != _OPTIONS[how]:
                    raise ValueError
                edits.append(Edit(int(number), how, float(value) if equals else None))
            except ValueError:
                form = "N=X,N=X with neurons and numbers, as 5=0.5" if _OPTIONS[how] else "neurons, as 3,17"
                raise InvalidRequest(f"--{how} takes {form}; {item.strip()!r} is not of this form") from None
    return edits


def _print(found: dict[str, Any], limit: int) -> None:
    print(f"{found['images']} images, {found['way']}")
    if not found["exact"]:
        print(_rounding(found))
    if found["accuracy_before"] is None:
        print("no image's class stands for an output, so no answer is right or wrong")
    else:
        print(
            f"accuracy {found['accuracy_before']:.1%} -> {found['accuracy_after']:.1%} over the {found['judged']} "
            f"images whose class stands for an output (matched by {found['matched']})"
        )
    for each in found["classes"]:
        if each["recall_before"] != each["recall_after"]:
            print(f"  {each['class']}: recall {each['recall_before']:.1%} -> {each['recall_after']:.1%}")
    turned = [each["turned"] for each in found["changed"]]
    counts = [f"{turned.count(kind)} {said}" for kind, said in _TURNED.items()]
    print(f"{len(turned)} answers changed: {', '.join(counts)}")
    for each in found["changed"][:limit]:
        print(f"  {each['path']}: {each['before_name']} -> {each['after_name']} ({_TURNED[each['turned']]})")
    if len(turned) > limit:
        print(f"  and {len(turned) - limit} more (--limit, --format json)")


_TURNED = {"wrong": "now wrong", "right": "now right", "other": "neither"}


def _rounding(found: dict[str, Any]) -> str:
    before, after = found["rounding_before"], found["rounding_after"]
    text = (
        f"kept maps are rounded: unchanged outputs are off by {before['largest']:.2g} at most, and "
        f"{before['answers']} of {before['images']} answers differ"
    )
    if after is None:
        return f"{text}; changed outputs could not be compared, as originals are missing"
    return (
        f"{text}; changed ones by {after['largest']:.2g}, and {after['answers']} of {after['images']} answers looked at"
    )
