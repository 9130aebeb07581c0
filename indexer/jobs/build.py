"""The jobs that run images through the network: build a new index, add to one, resume either."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from indexer.defaults import FLOAT32, MAX_PIXELS, OUTPUT_IF_CHEAP, SHARD_SIZE
from indexer.derive.image_table import ImageTable
from indexer.errors import ConfigurationMismatch, InvalidRequest, NotAnIndex, NotFound
from indexer.images.columns import Wanted
from indexer.images.listing import Listing, list_images
from indexer.index.configuration import Configuration
from indexer.index.fingerprint import path_fingerprint
from indexer.index.loading import PLAIN, Loading
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.told_outputs import NOTHING_SAID, NOTHING_TOLD, Telling, ToldOutputs
from indexer.inputs.categories import check_categories
from indexer.inputs.class_map import check_class_map, say_unknown
from indexer.inputs.dimness import dim
from indexer.inputs.saying import input_line, size_line
from indexer.inputs.upscaling import upscaled
from indexer.jobs.carry_out import carry_out
from indexer.jobs.limits import DEFAULT_LIMITS, Limits
from indexer.jobs.origin.news import say_moved, say_news, say_other_classes
from indexer.jobs.origin.sources import (
    Origin,
    from_a_forgotten_list,
    list_origin,
    origin_in,
    origin_of,
    refuse_other_origin,
)
from indexer.jobs.origin.taking_in import remember, taken_in
from indexer.jobs.pipeline.write_shards import Engine, index_shards
from indexer.jobs.plan import Plan, new_plan, unfinished_plan
from indexer.jobs.reporter import Reporter
from indexer.network.answering import with_output
from indexer.network.forward import Network, device_named
from indexer.network.layers import default_layers
from indexer.network.models import load_model
from indexer.network.output import output_layer
from indexer.network.restore import configuration_of, network_of
from indexer.receptive_field.layout import Layout
from indexer.store.remote import parse_location
from indexer.store.storage import Location

_NOT_LISTED = object()
_LARGEST = 2**31 - 1  # rows of shards are numbers of 32 bits


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes
    ----------
    images : Path
        A folder, or a list of paths and classes, see `indexer.images.listing.list_images`.
    model, weights : str
        See `indexer.network.models`.
    layers : sequence of str
        Module names; empty for the last layer of each spatial stage.
    preprocessing : dict
        Fields of `Preprocessing` that replace the model's own, or that the model does not give.
    loading : Loading
        Arguments of the model's factory, and how the weights file is read.
    batch_size : int or None
        Images in a forward pass; None for a size that suits the device.
    precision : str
        The kind of numbers in which the network computes; see `indexer.network.precision`.
    layouts : mapping of str to Layout, optional
        The order of a layer's dimensions, for layers where neither the model nor measuring tells it.
    engine : Engine, optional
        Makes the shards; by default this process, on all its cores or its GPU. An engine that is also an
        `indexer.derive.executor.Executor` runs the parts of the derivation too.
    limits : Limits
        How far the network is trusted.
    columns : Wanted, optional
        The columns of a list that hold the paths and the classes, if their names do not tell.
    follow_links : bool
        Follow symbolic links, even out of the image root.
    max_pixels : int
        Skip images with more pixels.
    categories : sequence of str, optional
        The names of the network's outputs; by default those that come with its weights.
    output : str
        A layer whose output is what the network returns, and which is indexed too; or "auto": so is the one that there
        is, if the rest of the network costs under 5 % more; or "none": only if it is one of ``layers``.
    telling : Telling
        What a person says of the outputs.
    """

    images: Location
    model: str
    weights: str
    layers: Sequence[str] = ()
    image_root: Path | None = None
    preprocessing: dict[str, object] | None = None
    keep_images: bool = False
    shard_size: int = SHARD_SIZE
    batch_size: int | None = None
    device: str | None = None
    engine: Engine | None = None
    precision: str = FLOAT32
    limits: Limits = DEFAULT_LIMITS
    columns: Wanted | None = None
    follow_links: bool = False
    max_pixels: int = MAX_PIXELS
    layouts: Mapping[str, Layout] | None = None
    loading: Loading = PLAIN
    categories: Sequence[str] | None = None
    output: str = OUTPUT_IF_CHEAP
    telling: Telling = NOTHING_SAID


def build(index: Location, request: BuildRequest, reporter: Reporter | None = None) -> Manifest:
    """Build an index, or finish one whose build was interrupted.

    An index that is already complete stays as it is, also if it has got further layers since. The reporter is told what
    is new or has changed in the place that its images come from.

    Raises
    ------
    ConfigurationMismatch
        The folder holds an index, or an unfinished job, of another configuration or of other images.
    InvalidRequest, IndexBusy, ModelUnavailable, BadActivations
    """
    if not all(1 <= size <= _LARGEST for size in (request.shard_size, request.batch_size) if size is not None):
        raise InvalidRequest(f"shard size and batch size must be 1 to {_LARGEST}")
    reporter = reporter or Reporter()
    origin = origin_of(
        request.images, request.image_root, request.columns, request.follow_links, request.max_pixels
    )  # fmt: skip
    with writing(index, new=True):
        _check_origin(index, origin, reporter)
        manifest = _manifest(index)
        network = _network(request, _layers_there(index, manifest), reporter)
        configuration = configuration_of(network, request.keep_images)
        engine = request.engine or partial(index_shards, network=network)
        if manifest is not None:
            there = manifest.configuration.restricted_to(configuration)
            _refuse_other(there, configuration, f"the index {index}")
            _say_further(manifest.configuration, there, reporter)
        plan = unfinished_plan(index, manifest)
        if plan is not None:
            _refuse_other(plan.configuration, configuration, f"the unfinished job in {index}")
            plan = replace(plan, intake=plan.intake or origin.intake)
            _say_first(plan, network, reporter)
            manifest = carry_out(index, manifest, plan, engine, reporter, request.limits)
        if manifest is not None:
            say_news(index, manifest, Origin(origin.root, manifest.intake), reporter.note)
            return manifest
        listing = list_images(request.images, request.image_root, request.columns, request.follow_links)
        for note in listing.notes:
            reporter.note(note)
        batch = request.batch_size or network.batch_size
        output, categories, told = _answers(request, network)
        say_unknown(told.classes, {file.class_ or "" for file in listing.files}, reporter.note)
        plan = new_plan(
            None, listing, configuration, categories, request.shard_size, batch, origin.intake, output, told
        )
        _say_first(plan, network, reporter)
        return carry_out(index, None, plan, engine, reporter, request.limits)


def _answers(request: BuildRequest, network: Network) -> tuple[str, list[str], ToldOutputs]:
    """The layer that holds the network's output, "" if none does; the outputs' names, and what is told of them."""
    output = output_layer(network) or ""
    categories = network.model.categories if request.categories is None else list(request.categories)
    told = request.telling.after(NOTHING_TOLD)
    if output:
        channels = network.shapes[output][0]
        if request.categories is not None:
            check_categories(categories, output, channels)
        check_class_map(told.classes, categories, channels)
    return output, categories, told


def _check_origin(index: Location, origin: Origin, reporter: Reporter) -> None:
    """Refuse images other than those of the index or of its unfinished job."""
    manifest = _manifest(index)
    plan = unfinished_plan(index, manifest)
    if plan is not None:
        there = Origin(parse_location(plan.image_root), plan.intake or origin.intake)
        refuse_other_origin(there, origin, f"the unfinished job in {index}", index)
    elif manifest is not None and _names_all(index, manifest, origin):
        reporter.note(f"the index is too old to remember its list: `add {index} LIST` makes it remember")
    elif manifest is not None:
        refuse_other_origin(origin_in(manifest), origin, f"the index {index}", index)


def _names_all(index: Location, manifest: Manifest, origin: Origin) -> bool:
    """Whether an index that remembers no list was made from this list: the list holds all its images and classes."""
    table = ImageTable(index, manifest.derived["images"])
    if origin.intake.folder or str(origin.root) != manifest.image_root:
        return False
    if not from_a_forgotten_list(table, manifest.intake):
        return False
    listed = {file.path: file.class_ for file in list_origin(origin).files}
    return all(listed.get(path, _NOT_LISTED) == table.class_of(row) for row, path in enumerate(table.paths()))


def add(
    index: Location,
    images: Location | None = None,
    weights: str | None = None,
    device: str | None = None,
    reporter: Reporter | None = None,
    engine: Engine | None = None,
    again: Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    model: str | None = None,
    columns: Wanted | None = None,
) -> Manifest:
    """Add new images to an index, from the place that its images come from or from a list, which it then remembers.

    An interrupted job is finished first. Images that were removed stay out, except those that ``again`` names by their
    path or by a folder above it. Images whose file has changed since are not indexed again: remove them, then name them
    in ``again``. Images whose class has changed keep the old one, and the reporter is told so:
    `indexer.jobs.upkeep.relabel.relabel` changes classes.

    ``columns`` are those of the list. ``model`` is the path of the program file, for an index that was made with one;
    see `indexer.network.restore.network_of`.

    If no new image can be used, nothing is published: the returned manifest is the published one, with the unusable
    images in ``skipped``.

    Raises
    ------
    NotFound
        ``again`` names an image or a folder that does not exist.
    NotAnIndex, ConfigurationMismatch, InvalidRequest, IndexBusy, ModelUnavailable, BadActivations
    """
    reporter = reporter or Reporter()
    with writing(index):
        manifest = read_manifest(index)
        network = network_of(manifest.configuration, weights, device, model)
        for note in network.model.notes:
            reporter.note(note)
        engine = engine or partial(index_shards, network=network)
        plan = unfinished_plan(index, manifest)
        if plan is not None:
            manifest = carry_out(index, manifest, plan, engine, reporter, limits)
        table = ImageTable(index, manifest.derived["images"])
        intake, listing = taken_in(manifest, table, images, columns, reporter.note)
        say_other_classes(index, table, listing, reporter.note)
        known = set(table.paths())
        if images is None:
            say_moved(index, known, listing, reporter.note)
        known |= _left_out(manifest, listing, again, reporter)
        new = [file for file in listing.files if file.path not in known]
        endings = dict(listing.endings) if intake.folder and listing.endings else manifest.endings
        if not new:
            manifest = replace(manifest, endings=endings)
            return remember(index, manifest, intake, reporter.stage)
        listing = replace(listing, files=new)
        plan = new_plan(
            manifest,
            listing,
            manifest.configuration,
            manifest.categories,
            manifest.shard_size,
            manifest.batch_size,
            intake,
            manifest.output,
            manifest.told_outputs,
        )
        return carry_out(index, manifest, plan, engine, reporter, limits)


def _left_out(manifest: Manifest, listing: Listing, again: Collection[str], reporter: Reporter) -> set[str]:
    """The paths of images that were removed and must not be added again."""
    wanted: set[str] = set()
    for name in again:
        below = {file.path for file in listing.files if PurePosixPath(file.path).is_relative_to(name)}
        if not below:
            raise NotFound(f"there is no image {name} below {listing.root}")
        wanted |= below
    removed = set(manifest.left_out)
    left_out: set[str] = set()
    if removed:
        left_out = {file.path for file in listing.files if path_fingerprint(file.path) in removed} - wanted
    if left_out:
        reporter.left_out(len(left_out))
    return left_out


def _network(request: BuildRequest, there: list[str], reporter: Reporter) -> Network:
    model = load_model(request.model, request.weights, request.loading, request.preprocessing)
    for note in model.notes:
        reporter.note(note)
    layers = list(request.layers) or default_layers(model.module, model.preprocessing.input_size)
    if layers != there:
        layers = with_output(model, layers, request.output, reporter.note)
    return Network(model, layers, device_named(request.device), request.precision, request.layouts)


def _layers_there(index: Location, manifest: Manifest | None) -> list[str]:
    """The layers of the index, or of its unfinished job."""
    found = unfinished_plan(index, manifest) or manifest
    return [layer.name for layer in found.configuration.layers] if found else []


def _say_first(plan: Plan, network: Network, reporter: Reporter) -> None:
    """Say what the network will see and how large the index will be, while there is still time to stop."""
    preprocessing = network.model.preprocessing
    network_input = input_line(preprocessing, network.model.sources)
    reporter.note(f"{network_input}; the index will be {size_line(len(plan.files), network.shapes)}")
    over = upscaled(parse_location(plan.image_root), plan.files, preprocessing)
    if over is not None:
        reporter.note(f"WARNING: {over}")
    dark = dim(parse_location(plan.image_root), plan.files, preprocessing.value_range)
    if dark is not None:
        reporter.note(f"WARNING: {dark}")


def _manifest(index: Location) -> Manifest | None:
    try:
        return read_manifest(index)
    except NotAnIndex:
        return None


def _say_further(whole: Configuration, asked: Configuration, reporter: Reporter) -> None:
    further = [layer.name for layer in whole.layers if layer not in asked.layers]
    if further:
        reporter.note(f"the index has further layers: {', '.join(further)}")


def _refuse_other(there: Configuration, here: Configuration, subject: str) -> None:
    here = here.adopting(there)
    if there.digest != here.digest:
        raise ConfigurationMismatch(f"{subject} has another configuration: " + "; ".join(there.differences(here)))
