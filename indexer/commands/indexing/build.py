"""``build``: build an index of a folder or a list of images."""

import argparse

from indexer.commands.console.output import tell
from indexer.commands.options.categories import add_categories_option, categories_of
from indexer.commands.options.engine import add_engine_options, engine_of
from indexer.commands.options.limits import add_limit_options, limits_of
from indexer.commands.options.model import add_layout_option, add_model_options, loading_of, preprocessing_of
from indexer.commands.options.outputs import add_output_option, add_telling_options, print_unmatched, telling_of
from indexer.commands.options.shared import add_device_option
from indexer.commands.options.sources import add_source_options, columns_of
from indexer.defaults import FLOAT32, PRECISIONS, SHARD_SIZE
from indexer.receptive_field.layout import parse_layouts
from indexer.store.remote import parse_location


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "images", type=parse_location, metavar="IMAGES", help="a folder of images or of class folders, or a list"
    )
    command.add_argument("--out", type=parse_location, required=True, metavar="INDEX", help="the index's folder")
    add_model_options(command)
    command.add_argument(
        "--layers",
        default="",
        help="names of modules, or of parts of what they return (MODULE:KEY), separated by commas; "
        "default: the last of each stage",
    )
    command.add_argument(
        "--image-root", type=parse_location, help="the folder that a list's paths are relative to; default: the list's"
    )
    command.add_argument("--keep-images", action="store_true", help="store the original files in the index too")
    command.add_argument(
        "--precision", choices=PRECISIONS, default=FLOAT32,
        help="float32-folded (batch norms), tf32 (on a GPU) and bfloat16 are faster; the command says what they change "
        "in ranks (%(default)s)",
    )  # fmt: skip
    add_layout_option(command)
    command.add_argument("--shard-size", type=int, default=SHARD_SIZE, help="images in a shard (%(default)s)")
    command.add_argument(
        "--batch-size", type=int, help="images in a forward pass; default: a size that suits the device"
    )
    add_categories_option(command, "those that come with the weights")
    add_output_option(command)
    add_telling_options(command)
    add_device_option(command)
    add_source_options(command)
    add_limit_options(command)
    add_engine_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.index.loading import is_own
    from indexer.jobs.build import BuildRequest, build
    from indexer.network.models import NO_WEIGHTS, default_weights

    weights = options.weights or default_weights(options.model)
    request = BuildRequest(
        images=options.images,
        model=options.model,
        weights=weights,
        layers=[name.strip() for name in options.layers.split(",") if name.strip()],
        image_root=options.image_root,
        preprocessing=preprocessing_of(options),
        loading=loading_of(options),
        keep_images=options.keep_images,
        shard_size=options.shard_size,
        batch_size=options.batch_size,
        device=options.device,
        engine=engine_of(options),
        precision=options.precision,
        limits=limits_of(options),
        columns=columns_of(options),
        follow_links=options.follow_links,
        max_pixels=options.max_pixels,
        layouts=parse_layouts(options.layout),
        categories=categories_of(options),
        output=options.output,
        telling=telling_of(options),
    )
    if weights == NO_WEIGHTS and not is_own(options.model):  # a person's own network may have loaded weights itself
        tell("unitscope: RANDOM weights (--weights none): this network has learned nothing")
    with Bar() as bar:
        manifest = build(options.out, request, bar.reporter)
    print_summary(options.out, manifest)
    if manifest.output == "":
        print(
            "  the network's output is not among the layers, so its answers are not known; its last module holds them"
        )
    print_unmatched(options.out)
    for layer in manifest.configuration.layers:
        print(f"  {layer.name}: receptive field {layer.field.words}")
    if options.precision != FLOAT32:
        _print_ranks_kept(options)
    return 0


def _print_ranks_kept(options: argparse.Namespace) -> None:
    from indexer.jobs.precision_report import ranks_kept

    for kept in ranks_kept(options.out, options.device):
        print(
            f"  {kept.layer}: {kept.same:.1%} of the top {kept.top} of {kept.images} images are those of float32, "
            f"{kept.in_place:.1%} at the same rank ({kept.neurons} neurons)"
        )
