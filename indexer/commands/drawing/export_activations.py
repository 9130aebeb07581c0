"""``export-activations``: write the vectors of a layer's cells, for programs that train on them."""

import argparse
from pathlib import Path

from indexer.commands.options.shared import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True)
    command.add_argument("--class", dest="class_", help="only images of this class")
    command.add_argument("--cells", type=int, help="so many cells of each image, by lot; default: all")
    command.add_argument("--seed", type=int, default=0, help="which cells those are (%(default)s)")
    command.add_argument("--format", choices=("npy", "safetensors"), default="npy", help="(%(default)s)")
    command.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="float16 is as kept (%(default)s)"
    )
    command.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.exports.activations.files import export_activations
    from indexer.exports.activations.rows import Cells, images_of
    from indexer.query.index import open

    with open(options.index) as index, Bar("exporting") as bar:
        bar.reporter.total(len(images_of(index, options.class_)))
        about = export_activations(
            index, options.layer, options.out, format=options.format, dtype=options.dtype, class_=options.class_,
            cells=Cells(options.cells, options.seed), progress=bar.reporter.progress,
        )  # fmt: skip
    rows = sum(file["rows"] for file in about["files"])
    print(
        f"{options.out}: {rows} vectors of {about['channels']} activations, of {about['images']} images, in "
        f"{len(about['files'])} files"
    )
    return 0
