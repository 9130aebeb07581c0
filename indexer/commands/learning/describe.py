"""``describe``: propose names for the neurons of a layer, by an image-text encoder or by classes."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.commands.options.encoder import add_encoder_options, encoder_of
from indexer.commands.options.shared import add_images_option, add_index

if TYPE_CHECKING:
    from indexer.describe.describing import Described
    from indexer.query.index import Index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    add_images_option(command)
    command.add_argument("--layer", required=True)
    command.add_argument("--neurons", help="their numbers, separated by commas; default: all of the layer")
    add_encoder_options(
        command, "makes an encoder of images and texts; without one, names come from classes and categories",
        required=False,
    )  # fmt: skip
    command.add_argument("--concepts", type=Path, metavar="FILE", help="a concept a line, in UTF-8")
    command.add_argument(
        "--template", default="{}", help="the text that is encoded, as 'a photo of a {}' (%(default)s)"
    )
    command.add_argument("--best", type=int, default=5, help="names for each neuron (%(default)s)")
    command.add_argument("--examples", type=int, default=100, help="images that stand for a neuron (%(default)s)")
    command.add_argument(
        "--least-auc", type=float, default=0.8, help="without an encoder: what a class's AUC is at least (%(default)s)"
    )
    command.add_argument("--out", type=Path, metavar="FILE.jsonl", help="write the proposals there, one a line")


def run(options: argparse.Namespace) -> int:
    from indexer.errors import InvalidRequest
    from indexer.pictures.sheet import neuron_numbers
    from indexer.query.index import open

    if (options.encoder is None) != (options.concepts is None):
        raise InvalidRequest("--encoder and --concepts go together; without both, names come from classes")
    if options.out is not None and options.out.exists():
        raise InvalidRequest(f"{options.out} exists; name a file that does not exist yet, so that no file is lost")
    neurons = None if options.neurons is None else neuron_numbers(options.neurons)
    with open(options.index, options.images) as index:
        described, by = _described(index, options, neurons)
        lines = _lines(index, options.layer, described, by)
    if options.out is not None:
        from indexer.store.atomic import write_bytes

        write_bytes(options.out, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    else:
        for item in described.items:
            print(_shown(options.layer, item))
    _say(described, options)
    return 0


def _described(index: "Index", options: argparse.Namespace, neurons: list[int] | None) -> "tuple[Described, Any]":
    from indexer.describe.describing import concepts_digest, describe, from_classes

    if options.encoder is None:
        return from_classes(index, options.layer, options.least_auc, neurons), {}
    from indexer.commands.console.progress import Bar

    index.layer(options.layer)
    concepts = _concepts(options.concepts)
    encoder = encoder_of(options)
    with Bar("encoding") as bar:
        described = describe(
            index, options.layer, encoder, concepts, template=options.template, best=options.best,
            examples=options.examples, neurons=neurons, progress=bar.step,
        )  # fmt: skip
    by = {"encoder": encoder.name, "encoder_digest": encoder.digest, "concepts_sha256": concepts_digest(concepts)}
    return described, by | {"template": options.template, "images": described.images, "held_out": described.held_out}


def _concepts(file: Path) -> list[str]:
    from indexer.errors import InvalidRequest

    try:
        text = file.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file} cannot be read as UTF-8: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _lines(index: "Index", layer: str, described: "Described", by: Any) -> list[dict[str, Any]]:
    dictionary = index.layer(layer).info.dictionary
    about = {
        "weights_sha256": index.manifest.configuration.weights_digest, "layer": layer,
        "dictionary_sha256": dictionary.sha256 if dictionary else None,
    }  # fmt: skip
    return [{**about, **asdict(item), **by} for item in described.items]


def _shown(layer: str, item: Any) -> str:
    if item.by == "category":
        reason = "the network's own name of this output"
    elif item.by == "class":
        reason = f"a class, AUC {item.auc:.2f}, at least {item.auc_at_least:.2f}"
    else:
        check = "not checked, it fires too seldom" if item.auc is None else f"held out: AUC {item.auc:.2f}"
        bound = "" if item.auc is None else f", at least {item.auc_at_least:.2f}"
        reason = f"score {item.score:.1f}; {check}{bound}"
    return f"{layer} {item.neuron}: proposed {item.name!r} ({reason})"


def _say(described: "Described", options: argparse.Namespace) -> None:
    neurons = len({item.neuron for item in described.items})
    where = "" if options.out is None else f" in {options.out}"
    print(f"{len(described.items)} names for {neurons} neurons{where}, all proposed", file=sys.stderr)
    if described.lost:
        from indexer.commands.console.lost import some_of

        print(
            f"{len(described.lost)} originals are gone and were not looked at: {some_of(described.lost)}",
            file=sys.stderr,
        )
