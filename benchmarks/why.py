"""Why an answer, beside the pass of an upload; and a what-if, beside the rest of the network run by hand.

python -m benchmarks.why INDEX --layer features.12 --rest classifier [--out FILE]

``--rest`` names the modules that the network runs behind the layer, in order. The reference of a what-if reads the kept
maps and sends them through these modules twice, plain and with the same neurons set to zero.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

import indexer
from benchmarks.measure import Row, heading, in_turn, write_records
from indexer.explain.edits import Edit
from indexer.explain.rest import ROWS
from indexer.explain.what_if import what_if
from indexer.explain.why import why
from indexer.network.forward import Network
from indexer.query.index import Index

SILENCED = (3, 17, 42)
EACH = 10
"""Neurons for and neurons against: twenty are silenced."""


def one_image(index: Index, network: Network, layer: str) -> Row:
    """Why for one image, and decoding it and sending it through the network, as an upload is."""
    image = int(index.images.id[len(index.images) // 2])
    passes, whys = in_turn(
        lambda: network.maps([index.picture(index.image(image))]),
        lambda: why(index, network, image, layer, limit=EACH),
    )
    return Row(f"why, one image, {2 * EACH} neurons silenced", passes, whys, "reference: one pass of the image")


def all_images(index: Index, network: Network, layer: str, rest: Sequence[str]) -> Row:
    """A what-if over all images, and the same by hand."""
    edits = [Edit(neuron) for neuron in SILENCED]
    hand, ours = in_turn(
        by_hand(index, network, layer, rest),
        lambda: what_if(index, network, layer, edits),
    )
    return Row(f"what-if, {len(index.images)} images", hand, ours, "reference: the rest by hand")


def by_hand(index: Index, network: Network, layer: str, rest: Sequence[str]) -> Callable[[], object]:
    behind = nn.Sequential(*(network.model.module.get_submodule(name) for name in rest))
    ids = [int(id) for id in index.images.id]

    def run() -> tuple[np.ndarray, np.ndarray]:
        answers: list[list[np.ndarray]] = [[], []]
        for first in range(0, len(ids), ROWS):
            maps = torch.from_numpy(np.stack([index.activation_maps(id, layer) for id in ids[first : first + ROWS]]))
            silenced = maps.clone()
            silenced[:, list(SILENCED)] = 0
            with torch.inference_mode():
                for taken, given in zip(answers, (maps, silenced), strict=True):
                    taken.append(behind(given).flatten(1).argmax(1).numpy())
        return np.concatenate(answers[0]), np.concatenate(answers[1])

    return run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--rest", required=True, help="modules behind the layer, separated by commas")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    heading("Why, and what if")
    with indexer.open(options.index) as index:
        network = index.network()
        rows = []
        for row in (
            one_image(index, network, options.layer),
            all_images(index, network, options.layer, options.rest.split(",")),
        ):
            print(row.line(), flush=True)
            rows.append(row)
    if options.out:
        write_records(rows, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
