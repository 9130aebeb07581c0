"""Check every file of an index, and rebuild damaged ones."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.derive.carried.files import carried_files
from indexer.derive.generation import derive_and_publish
from indexer.derive.image_table import ImageTable
from indexer.derive.labels import KEY, Labels, read_labels
from indexer.errors import DamagedFile, InvalidRequest
from indexer.images.listing import ImageFile
from indexer.images.reading import file_digest
from indexer.index import layout
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.shard_info import ShardInfo, next_number
from indexer.jobs.limits import DEFAULT_LIMITS, Limits
from indexer.jobs.plan import ShardPlan
from indexer.jobs.reporter import Reporter
from indexer.jobs.upkeep import made_files
from indexer.shards.reader import Shard
from indexer.store import atomic
from indexer.store.remote import parse_location
from indexer.store.storage import Location, storage_at

if TYPE_CHECKING:
    from indexer.network.forward import Network

_LEFT_OUT = {
    layout.EFFECTIVE: "the effective receptive field of {} was damaged and is left out; effective-field measures it",
    layout.ATLASES: "the atlas of {} was damaged and is left out; atlas makes it",
    layout.PATCH_VECTORS: "the patch vectors of {} were damaged and are left out; patch-vectors makes them",
    layout.NEURON_ATLASES: "the atlas of the neurons of {} was damaged and is left out; neuron-atlas makes it",
    layout.ENCODER_SCORES: "the scores of {} by an encoder were damaged and are left out; scores makes them",
}


@dataclass(frozen=True)
class Fault:
    """A damaged file of an index, by its path relative to the index, and what is wrong with it."""

    file: str
    cause: str


def verify(index: Location) -> list[Fault]:
    """Compare every file that the manifest lists, and every image made for a neuron, with its checksum.

    Returns
    -------
    list of Fault
        Empty if all is well.

    Raises
    ------
    NotAnIndex, DamagedFile
        There is no manifest, or it cannot be read.
    """
    manifest = read_manifest(index)
    damaged = made_files.damaged(index, manifest)
    made = [Fault(error.file, f"{error.cause}; make optimal makes it anew") for error in damaged]
    return _listed_faults(index, manifest) + made


def _listed_faults(index: Location, manifest: Manifest) -> list[Fault]:
    expected = manifest.shard_checksums | manifest.configuration.dictionaries | manifest.checksums
    return [fault for file, sha256 in expected.items() if (fault := _check(index, file, sha256)) is not None]


def _check(index: Location, file: str, sha256: str) -> Fault | None:
    try:
        actual = atomic.file_sha256(index / file)
        if file.startswith("shards/"):
            Shard(index / file, file).close()
    except FileNotFoundError:
        return Fault(file, "is missing")
    except OSError as error:
        return Fault(file, f"cannot be read ({error.strerror})")
    except DamagedFile as error:
        return Fault(file, error.cause)
    return None if actual == sha256 else Fault(file, f"has sha256 {actual[:12]}…, the manifest says {sha256[:12]}…")


def repair(
    index: Location,
    weights: str | None = None,
    device: str | None = None,
    reporter: Reporter | None = None,
    limits: Limits = DEFAULT_LIMITS,
    model: str | None = None,
) -> Manifest:
    """Rebuild damaged shards from the original images, then derive the index anew and publish.

    A shard of several files becomes one new file if any of them is damaged. A rebuilt shard leaves out images that were
    removed, or whose file is gone or has changed since. A shard of such images only is dropped. So is a damaged file of
    effective receptive fields, or of an atlas. Made images that are damaged, or of other layers or weights, are
    removed. ``weights`` and ``model`` say where these files are now, see `indexer.network.restore.network_of`.

    Raises
    ------
    InvalidRequest
        The image table, which lists the images of each shard, is damaged as well; or there is nothing at the image
        root; or no image of the index would be left.
    NotAnIndex, ConfigurationMismatch, ModelUnavailable, IndexBusy
    """
    reporter = reporter or Reporter()
    with writing(index):
        manifest = read_manifest(index)
        made_files.remove_wrong(index, manifest)
        faults = {fault.file for fault in _listed_faults(index, manifest)}
        damaged = [shard for shard in manifest.shards if not faults.isdisjoint(shard.checksums)]
        labels = _labels(index, manifest, faults, damaged)
        if damaged:
            from indexer.network.restore import (
                network_of,
            )  # here, because it imports torch, which `verify` does not need

            load = partial(network_of, manifest.configuration, weights, device, model)
            manifest = _rebuild(index, manifest, damaged, load, reporter, limits)
        if not faults:
            return manifest
        manifest = _without_damaged(manifest, faults, reporter.note)
        repaired = derive_and_publish(index, manifest, reporter.stage, labels=labels)
        for file in (file for shard in damaged if shard.parts for file in shard.checksums):
            atomic.remove(index / file)
        return repaired


def _without_damaged(manifest: Manifest, faults: set[str], note: Callable[[str], None]) -> Manifest:
    """The manifest without damaged effective fields and atlases, which can be made again."""
    damaged = {key: file for key, file in carried_files(manifest).items() if file in faults}
    for key in damaged:
        kind, _, layer = key.partition(" ")
        note(f"{_LEFT_OUT[kind].format(layer)} again")
    return replace(manifest, derived={key: file for key, file in manifest.derived.items() if key not in damaged})


def _labels(index: Location, manifest: Manifest, faults: set[str], damaged: list[ShardInfo]) -> Labels:
    """The current paths and classes of images. If the file of labels is damaged, they are read off the image table."""
    if manifest.derived.get(KEY) not in faults:
        return read_labels(index, manifest)
    file = manifest.derived["images"]
    if file in faults:
        raise InvalidRequest(
            f"{manifest.derived[KEY]} and {file} are both damaged, so the paths and classes of {manifest.relabelled} "
            "images are not known; build the index again"
        )
    table = ImageTable(index, file)
    changed = {}
    for info in manifest.shards:
        if info not in damaged:  # a rebuilt shard gets the paths and classes of the table
            with Shard(index / info.file, info.file) as shard:
                for image in shard.images():
                    row = table.find_id(image.id)
                    if row is not None and (image.path, image.class_) != (table.path(row), table.class_of(row)):
                        changed[image.id] = (table.path(row), table.class_of(row))
    return Labels(changed)


def _rebuild(
    index: Location,
    manifest: Manifest,
    damaged: list[ShardInfo],
    load: Callable[[], "Network"],
    reporter: Reporter,
    limits: Limits,
) -> Manifest:
    root = parse_location(manifest.image_root)
    if storage_at(root).is_unmounted():
        raise InvalidRequest(f"there is nothing at {root}, where the original images were: no shard can be rebuilt")
    plans, changed = _plans(index, manifest, damaged, root)
    if not plans and len(damaged) == len(manifest.shards):
        raise InvalidRequest("no image is as it was when it was indexed; build the index again")
    from indexer.jobs.pipeline.write_shards import ShardTask, index_shards

    network = load()
    for note in network.model.notes:
        reporter.note(note)
    reporter.total(sum(len(plan.ids) for plan in plans.values()))
    task = ShardTask(index, root, manifest.configuration, manifest.batch_size, limits, manifest.intake.max_pixels)
    with _set_aside([index / shard.file for shard in damaged if not shard.parts]):
        made = index_shards(task, list(plans.values()), network, reporter.progress)
    rebuilt = dict(zip(plans, made, strict=True))
    shards = [replace(rebuilt[s.file], first_id=s.first_id, end_id=s.end_id) if s.file in rebuilt else s
              for s in manifest.shards if s.file in rebuilt or s not in damaged]  # fmt: skip
    skipped = manifest.skipped_with((path, "has changed since it was indexed") for path in changed)
    return replace(manifest, shards=shards, skipped=skipped)


@contextmanager
def _set_aside(files: Sequence[Location]) -> Iterator[None]:
    """Move files aside so that new ones can take their names. On failure, move those back whose name is still free."""
    moved = {path: path.parent / f"{path.name}.damaged" for path in files if path.exists()}
    for path, aside in moved.items():
        storage_at(path).rename(aside.name)
    try:
        yield
    except BaseException:
        for path, aside in moved.items():
            if not path.exists():
                storage_at(aside).rename(path.name)
        raise
    for aside in moved.values():
        atomic.remove(aside)


def _plans(
    index: Location, manifest: Manifest, damaged: list[ShardInfo], root: Location
) -> tuple[dict[str, ShardPlan], list[str]]:
    """The shards to write, all with images, by the file of the damaged one; and the paths whose files have changed."""
    file = manifest.derived["images"]
    if _check(index, file, manifest.checksums[file]):
        raise InvalidRequest(f"{file} is damaged too, so what the shards held is not known; build the index again")
    table = ImageTable(index, file)
    plans: dict[str, ShardPlan] = {}
    changed: list[str] = []
    for free, shard in enumerate(damaged, start=next_number(manifest.shards)):
        first, end = np.searchsorted(table.id, [shard.first_id, shard.end_id]).tolist()
        altered = {row for row in range(first, end) if _has_changed(root / table.path(row), table.sha256(row))}
        changed += [table.path(row) for row in sorted(altered)]
        rows = [row for row in range(first, end) if row not in altered]
        files = tuple(ImageFile(table.path(row), table.class_of(row)) for row in rows)
        if files:
            number = free if shard.parts else int(Path(shard.file).stem)
            plans[shard.file] = ShardPlan(number, tuple(table.id[rows].tolist()), files)
    return plans, changed


def _has_changed(original: Location, sha256: str) -> bool:
    try:
        return file_digest(original).hex() != sha256
    except OSError:  # the job that reads it next says why
        return False
