"""The command line: ``python -m indexer COMMAND``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from indexer.commands import exports, figures, learning, relabel
from indexer.commands.common import add_command, add_device_option, add_index_command, add_network_options
from indexer.commands.limit_options import add_limit_options, limits_of
from indexer.commands.model_options import add_model_options, loading_of, preprocessing_of
from indexer.commands.progress import Bar
from indexer.commands.source_options import add_column_options, add_source_options, columns_of
from indexer.errors import InvalidRequest, UnitscopeError
from indexer.images.left_out import endings_line
from indexer.index.manifest import FLOAT32, PRECISIONS, Manifest
from indexer.jobs.build import SHARD_SIZE, BuildRequest, add, build
from indexer.jobs.compact import compact
from indexer.jobs.distributed import DaskEngine
from indexer.jobs.info import describe, saturated_activations, skipped_images
from indexer.jobs.precision_report import ranks_kept
from indexer.jobs.remove import remove
from indexer.jobs.verify import repair, verify
from indexer.jobs.write_shards import Engine
from indexer.network.models import NO_WEIGHTS, default_weights, is_own
from indexer.receptive_field import ReceptiveField
from indexer.receptive_field.layout import FORMS, parse_layouts
from indexer.store.remote import parse_location

_SKIPPED_SHOWN = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if it did what was asked, 1 if not, with a line on standard error that says why."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except UnitscopeError as error:
        print(f"unitscope: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # what the system says: no such folder, no room, no right to write there
        file = error.filename2 or error.filename
        print(f"unitscope: {file}: {error.strerror}" if file else f"unitscope: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        print("unitscope: there is not enough memory; a smaller --batch-size or --crop takes less", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("unitscope: interrupted; the same command resumes", file=sys.stderr)
        return 130


def _lacks_memory(error: BaseException) -> bool:
    """Whether an error is Python's of memory, or torch's, which on a CPU has no class of its own."""
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m indexer", description="See what every neuron fires for.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands)
    one = add_index_command(
        commands, "add", _run_add, "index images that are new where the others come from, or those of a list"
    )
    one.add_argument(
        "images", nargs="?", type=parse_location, help="a list; default: where the index has its images from"
    )
    add_column_options(one)
    one.add_argument(
        "--again", metavar="PATH", action="append", default=[],
        help="an image that was removed, or a folder of such, to take in again (repeatable); others stay out",
    )  # fmt: skip
    add_network_options(one)
    add_limit_options(one)
    _add_engine_options(one)
    one = add_index_command(commands, "remove", _run_remove, "hide images from every answer; add leaves them out")
    one.add_argument("--id", type=int, action="append", default=[], help="an image's id (repeatable)")
    one.add_argument("--path", action="append", default=[], help="an image's path below the image root (repeatable)")
    one.add_argument("--class", dest="class_", help="all images of a class")
    add_index_command(commands, "compact", _run_compact, "erase removed images from disk")
    one = add_index_command(commands, "verify", _run_verify, "compare every file with its checksum")
    one.add_argument("--repair", action="store_true", help="rebuild what is damaged from the original images")
    add_network_options(one)
    add_limit_options(one)
    one = add_index_command(commands, "info", _run_info, "say what an index is")
    one.add_argument("--json", action="store_true", help="for programs")
    one.add_argument("--skipped", action="store_true", help="list the images that could not be used, and why")
    relabel.register(commands)
    learning.register(commands)
    figures.register(commands)
    exports.register(commands)
    return parser


def _add_engine_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--engine", choices=("local", "dask"), default="local", help="what makes the shards: this machine, or a cluster"
    )
    command.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask cluster, as tcp://host:8786")


def _engine(options: argparse.Namespace) -> Engine | None:
    if (options.engine == "dask") != (options.scheduler is not None):
        raise InvalidRequest("--engine dask and --scheduler ADDRESS go together: give both, or neither")
    return DaskEngine(options.scheduler) if options.scheduler else None


def _add_build(commands: Any) -> None:
    command = add_command(commands, "build", _run_build, "build an index, or finish a build that was interrupted")
    command.add_argument(
        "images", type=parse_location, metavar="IMAGES", help="a folder of (class folders of) images, or list"
    )
    command.add_argument("--out", type=parse_location, required=True, metavar="INDEX", help="the index's folder")
    add_model_options(command)
    command.add_argument("--layers", default="", help="module names, with commas; default: the last of each stage")
    command.add_argument(
        "--image-root", type=parse_location, help="what a list's paths are relative to; default: its folder"
    )
    command.add_argument("--keep-images", action="store_true", help="store the original files in the index too")
    command.add_argument(
        "--precision", choices=PRECISIONS, default=FLOAT32,
        help="folded batch norms, TF32 on a GPU, bfloat16: each faster, and says its cost in ranks (%(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--layout", metavar="LAYER=LAYOUT", action="append", default=[],
        help=f"the order of a layer's dimensions, {FORMS}, where it cannot be told (repeatable)",
    )  # fmt: skip
    command.add_argument("--shard-size", type=int, default=SHARD_SIZE, help="images a shard (%(default)s)")
    command.add_argument("--batch-size", type=int, help="images a forward pass; default: what suits the device")
    add_device_option(command)
    add_source_options(command)
    add_limit_options(command)
    _add_engine_options(command)


def _run_build(options: argparse.Namespace) -> int:
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
        engine=_engine(options),
        precision=options.precision,
        limits=limits_of(options),
        columns=columns_of(options),
        follow_links=options.follow_links,
        max_pixels=options.max_pixels,
        layouts=parse_layouts(options.layout),
    )
    if weights == NO_WEIGHTS and not is_own(options.model):  # what a person's own network has loaded, it knows itself
        print("unitscope: RANDOM weights (--weights none): this network has learned nothing", file=sys.stderr)
    bar = Bar()
    try:
        manifest = build(options.out, request, bar.reporter)
    finally:
        bar.close()
    status = _summary(options.out, manifest)
    for layer in manifest.configuration.layers:
        print(f"  {layer.name}: receptive field {layer.field.words}")
    if options.precision != FLOAT32:
        _say_ranks_kept(options)
    return status


def _say_ranks_kept(options: argparse.Namespace) -> None:
    for kept in ranks_kept(options.out, options.device):
        print(
            f"  {kept.layer}: {kept.same:.1%} of the top {kept.top} of {kept.images} images are those of float32, "
            f"{kept.in_place:.1%} at the same rank ({kept.neurons} neurons)"
        )


def _run_add(options: argparse.Namespace) -> int:
    bar = Bar()
    try:
        manifest = add(
            options.index, options.images, options.weights, options.device, bar.reporter, _engine(options),
            options.again, limits_of(options), options.model, columns_of(options),
        )  # fmt: skip
    finally:
        bar.close()
    return _summary(options.index, manifest)


def _run_remove(options: argparse.Namespace) -> int:
    return _summary(
        options.index, remove(options.index, options.id, options.path, options.class_, Bar().reporter.stage)
    )


def _run_compact(options: argparse.Namespace) -> int:
    return _summary(options.index, compact(options.index, Bar().reporter.stage))


def _run_verify(options: argparse.Namespace) -> int:
    faults = verify(options.index)
    for fault in faults:
        print(f"{fault.file}: {fault.cause}")
    if not faults:
        print("every file is as it was written")
    elif options.repair:
        return _summary(options.index, _repaired(options))
    return 1 if faults else 0


def _repaired(options: argparse.Namespace) -> Manifest:
    reporter, limits = Bar().reporter, limits_of(options)
    return repair(options.index, options.weights, options.device, reporter, limits, options.model)


def _run_info(options: argparse.Namespace) -> int:
    if options.skipped:
        for path, reason in skipped_images(options.index):
            print(f"{path}: {reason}")
        return 0
    found = describe(options.index)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    for name, value in found.items():
        if name == "layers":
            print("layers:")
            for layer in value:
                print(f"  {layer['name']}: {layer['shape']}, receptive field {_words(layer)}")
        else:
            print(f"{name}: {value}")
    return 0


def _words(layer: dict[str, Any]) -> str:
    """A layer's field as a line says it, and the layout that a person has told."""
    words = ReceptiveField(layer["receptive_field"], layer["receptive_field_reason"], None, None).words
    return f"{words}; layout {layer['layout']}" if layer["layout"] else words


def _summary(index: Path, manifest: Manifest) -> int:
    skipped = skipped_images(index, manifest)
    print(f"{index}: generation {manifest.generation}, {manifest.images} images, {len(manifest.shards)} shards")
    for path, reason in skipped[:_SKIPPED_SHOWN]:
        print(f"  skipped {path}: {reason}")
    if len(skipped) > _SKIPPED_SHOWN:
        print(f"  … {len(skipped)} were skipped in all; `info {index} --skipped` lists them")
    if manifest.endings:
        print(f"  {endings_line(manifest.endings)}")
    for layer, count in saturated_activations(index, manifest).items():
        if count:
            print(f"  {layer}: {count} activations were clipped to the range of float16 (±65504)")
    return 0
