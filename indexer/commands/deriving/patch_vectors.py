"""``patch-vectors``: encode the top patches of a layer's neurons, and keep their vectors in the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.encoder import add_encoder_options, encoder_of
from indexer.commands.options.shared import add_images_option, add_index
from indexer.defaults import TEXT_PATCHES

if TYPE_CHECKING:
    from indexer.jobs.derived.patch_vectors import Encoded


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    add_images_option(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons texts are to find")
    add_encoder_options(command, "makes an encoder of images and texts", required=True)
    command.add_argument(
        "--patches", type=int, default=TEXT_PATCHES, help="top patches of each neuron, one an image (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.lost import some_of
    from indexer.commands.console.progress import Bar
    from indexer.jobs.derived.patch_vectors import encode_patches, keep_patch_vectors
    from indexer.query.index import open

    with open(options.index, options.images) as index:
        index.layer(options.layer)
        encoder = encoder_of(options)
        with Bar("encoding", "patch") as bar:
            encoded = encode_patches(index, options.layer, encoder, patches=options.patches, progress=bar.step)
    manifest = keep_patch_vectors(options.index, encoded)
    print(f"{options.index}: generation {manifest.generation}; {_line(encoded)}")
    if encoded.lost:
        print(f"  {len(encoded.lost)} originals are gone, and their patches were left out: {some_of(encoded.lost)}")
    return 0


def _line(encoded: "Encoded") -> str:
    vectors = encoded.vectors
    kept = f", {encoded.reused} of them kept" if encoded.reused else ""
    return (
        f"{encoded.layer.name}: {len(vectors)} patches ({vectors.patches} of each neuron, those of two once) by "
        f"{vectors.encoder.name}, {vectors.vectors.shape[1]} numbers each{kept}"
    )
