"""Add layers to an index of images that are indexed already, or drop some. The other layers' files stay as they are.

The added layers get shard files of their own, which become parts of the shards that are there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from indexer.derive.executor import Executor
from indexer.derive.generation import Report, derive_and_publish
from indexer.derive.image_table import ImageTable
from indexer.errors import InvalidRequest, NotFound
from indexer.images.listing import ImageFile
from indexer.images.reading import file_digest
from indexer.index.configuration import Configuration
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.shard_info import MAX_PARTS, ShardInfo, ShardPart, next_number
from indexer.inputs.categories import check_categories
from indexer.jobs.limits import DEFAULT_LIMITS, Limits
from indexer.jobs.pipeline.write_shards import Engine, ShardTask, index_shards, write_missing
from indexer.jobs.plan import ShardPlan, refuse_unfinished
from indexer.jobs.reporter import Reporter
from indexer.jobs.upkeep.compact import delete_unlisted
from indexer.network.forward import Network
from indexer.network.output import output_layer
from indexer.network.restore import configuration_of, network_with
from indexer.receptive_field.layout import Layout
from indexer.shards.listed import open_listed
from indexer.store.remote import parse_location
from indexer.store.storage import Location


def add_layers(
    index: Location,
    layers: Sequence[str],
    weights: str | None = None,
    device: str | None = None,
    reporter: Reporter | None = None,
    engine: Engine | None = None,
    limits: Limits = DEFAULT_LIMITS,
    model: str | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> Manifest:
    """Run the images of an index through its network again, and keep the activations of further layers.

    An interrupted run is taken up again by the same call: files that were written whole are kept. ``weights``,
    ``device`` and ``model`` are those of `indexer.network.restore.network_of`, ``layouts`` those of
    `indexer.jobs.build.BuildRequest`.

    Raises
    ------
    InvalidRequest
        The index has one of the layers already, or an unfinished job, or removed images, or shards of too many files;
        or an original file is gone or has changed since it was indexed; or no index can have a layer of that shape.
    NotReproducible
        Nothing is left of the added layers, also not of an interrupted run.
    NotAnIndex, ConfigurationMismatch, ModelUnavailable, IndexBusy, BadActivations
    """
    reporter = reporter or Reporter()
    with writing(index):
        manifest = _without_empty(index, read_manifest(index))
        _check_addable(index, manifest, layers)
        network = network_with(manifest.configuration, layers, layouts, weights, device, model)
        for note in network.model.notes:
            reporter.note(note)
        plans = _plans(index, manifest)
        added = configuration_of(network, keep_images=False)
        task = ShardTask(
            index.resolve(), parse_location(manifest.image_root), added, manifest.batch_size, limits,
            manifest.intake.max_pixels,
        )  # fmt: skip
        reporter.total(manifest.images)
        engine = engine or partial(index_shards, network=network)
        made = write_missing(task, plans, manifest.shard_checksums, engine, reporter.progress)
        grown = with_parts(_with_output(manifest, network), made, added)
        executor = engine if isinstance(engine, Executor) else None
        return derive_and_publish(index, grown, reporter.stage, executor, unchanged=layer_names(manifest.configuration))


def drop_layers(index: Location, layers: Collection[str], report: Report = lambda stage: None) -> Manifest:
    """Leave layers out of an index.

    Files that hold nothing but these layers are deleted; `indexer.jobs.upkeep.compact.compact` erases them from others.

    Raises
    ------
    NotFound
        The index has no such layer.
    InvalidRequest
        No layer would be left, or the index has an unfinished job.
    NotAnIndex, IndexBusy
    """
    with writing(index):
        manifest = read_manifest(index)
        refuse_unfinished(index, manifest)
        known = [layer.name for layer in manifest.configuration.layers]
        if unknown := [layer for layer in layers if layer not in known]:
            raise NotFound(f"the index has no layer {unknown[0]!r}; it has {', '.join(known)}")
        left = tuple(layer for layer in manifest.configuration.layers if layer.name not in layers)
        if not left:
            raise InvalidRequest("that would drop every layer; delete the index instead")
        smaller = replace(
            manifest,
            configuration=replace(manifest.configuration, layers=left),
            shards=[_dropped(_dated(info, manifest.configuration), layers) for info in manifest.shards],
            output="" if manifest.output in layers else manifest.output,
        )
        published = derive_and_publish(index, smaller, report, unchanged=layer_names(smaller.configuration))
        delete_unlisted(index, published)
        return published


def _check_addable(index: Location, manifest: Manifest, layers: Sequence[str]) -> None:
    refuse_unfinished(index, manifest)
    if not layers:
        raise InvalidRequest("name at least one layer to add")
    if there := [layer for layer in layers if layer in layer_names(manifest.configuration)]:
        raise InvalidRequest(f"the index has the layer {there[0]!r} already")
    refuse_full(manifest)
    if manifest.removed:
        raise InvalidRequest("the index holds removed images, which are not run again: compact it first")


def refuse_full(manifest: Manifest) -> None:
    """Refuse an index whose shards can have no further files.

    Raises
    ------
    InvalidRequest
    """
    if any(len(info.parts) >= MAX_PARTS for info in manifest.shards):
        raise InvalidRequest(
            f"layers were added {MAX_PARTS} times, and no shard may have more files; compact the index to join them"
        )


def _without_empty(index: Location, manifest: Manifest) -> Manifest:
    """The manifest without shards none of whose images could be used; it lists these images as skipped itself."""
    skipped: list[tuple[str, str]] = []
    for info in (info for info in manifest.shards if not info.rows):
        with open_listed(info, index.__truediv__) as shard:
            skipped += shard.skipped()
    shards = [info for info in manifest.shards if info.rows]
    return replace(manifest, shards=shards, skipped=manifest.skipped_with(skipped))


def layer_names(configuration: Configuration) -> set[str]:
    """The names of the layers of an index."""
    return {layer.name for layer in configuration.layers}


def _plans(index: Location, manifest: Manifest) -> list[ShardPlan]:
    """A file for each shard, with the same images, all of which must be as they were."""
    root = parse_location(manifest.image_root)
    table = ImageTable(index, manifest.derived["images"])
    other = [table.path(row) for row in range(len(table)) if _is_other(root / table.path(row), table.sha256(row))]
    if other:
        raise InvalidRequest(
            f"{len(other)} of the original images are gone or have changed since they were indexed, as {other[0]}; put "
            "them back, or remove them and compact the index"
        )
    plans = []
    for number, info in enumerate(manifest.shards, start=next_number(manifest.shards)):
        first, end = np.searchsorted(table.id, [info.first_id, info.end_id]).tolist()
        files = tuple(ImageFile(table.path(row), table.class_of(row)) for row in range(first, end))
        plans.append(ShardPlan(number, tuple(table.id[first:end].tolist()), files))
    return plans


def _is_other(original: Location, sha256: str) -> bool:
    try:
        return file_digest(original).hex() != sha256
    except OSError:
        return True


def _with_output(manifest: Manifest, network: Network) -> Manifest:
    """The manifest with the output layer, if that is among the added layers."""
    output = output_layer(network)
    if output is None:
        return manifest
    if manifest.categories:
        check_categories(manifest.categories, output, network.shapes[output][0])
    return replace(manifest, output=output)


def with_parts(manifest: Manifest, made: Sequence[ShardInfo], added: Configuration) -> Manifest:
    """The manifest with further layers, whose file of each shard is given.

    Raises
    ------
    InvalidRequest
        A file lacks images.
    """
    layers = tuple(layer.name for layer in added.layers)
    shards = []
    for info, part in zip(manifest.shards, made, strict=True):
        if part.rows != info.rows:
            raise InvalidRequest(f"{info.rows - part.rows} images of {info.file} can no longer be used; run verify")
        joined = ShardPart(part.file, part.sha256, layers, added.digest)
        shards.append(replace(_dated(info, manifest.configuration), parts=(*info.parts, joined)))
    configuration = replace(manifest.configuration, layers=(*manifest.configuration.layers, *added.layers))
    return replace(manifest, configuration=configuration, shards=shards)


def _dated(info: ShardInfo, configuration: Configuration) -> ShardInfo:
    """A shard that remembers under which configuration its file was written, as the index is about to get another."""
    return info if info.configuration else replace(info, configuration=configuration.digest)


def _dropped(info: ShardInfo, layers: Collection[str]) -> ShardInfo:
    parts = (replace(part, layers=tuple(name for name in part.layers if name not in layers)) for part in info.parts)
    return replace(info, parts=tuple(part for part in parts if part.layers))
