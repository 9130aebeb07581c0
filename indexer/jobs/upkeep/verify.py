"""Check every file of an index, and rebuild damaged ones."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from indexer.derive.carried.files import carried_files
from indexer.derive.generation import derive_and_publish
from indexer.derive.image_table import ImageTable
from indexer.derive.labels import KEY, Labels, read_labels
from indexer.errors import DamagedFile, InvalidRequest, NotReproducible
from indexer.images.listing import ImageFile
from indexer.images.reading import file_digest
from indexer.index import layout
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.shard_info import ShardInfo, next_number
from indexer.jobs.limits import DEFAULT_LIMITS, Limits
from indexer.jobs.plan import ShardPlan, unfinished_plan
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
    removed. Numbers of shards that an unfinished job has planned stay free for it. ``weights`` and ``model`` say where
    these files are now, see `indexer.network.restore.network_of`.

    Raises
    ------
    InvalidRequest
        The image table, which lists the images of each shard, is damaged as well; or there is nothing at the image
        root; or no image of the index would be left. Damaged shards are then there as before.
    NotAnIndex, ConfigurationMismatch, ModelUnavailable, IndexBusy, BadActivations
    """
    reporter = reporter or Reporter()
    with writing(index):
        manifest = read_manifest(index)
        made_files.remove_wrong(index, manifest)
        faults = {fault.file for fault in _listed_faults(index, manifest)}
        damaged = [shard for shard in manifest.shards if not faults.isdisjoint(shard.checksums)]
        labels = _labels(index, manifest, faults, damaged)
        if not faults:
            return manifest
        with ExitStack() as aside:  # damaged shards are removed when the generation without them is published
            if damaged:
                from indexer.network.restore import (
                    network_of,
                )  # here, because it imports torch, which `verify` does not need

                load = partial(network_of, manifest.configuration, weights, device, model)
                manifest = _rebuild(index, manifest, damaged, load, aside, reporter, limits)
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
    aside: ExitStack,
    reporter: Reporter,
    limits: Limits,
) -> Manifest:
    root = parse_location(manifest.image_root)
    if storage_at(root).is_unmounted():
        raise InvalidRequest(f"there is nothing at {root}, where the original images were: no shard can be rebuilt")
    table = _table(index, manifest)
    elsewhere = len(table) - sum(len(_rows(table, shard)) for shard in damaged)
    plans, changed = _plans(table, damaged, root, _free_number(index, manifest, damaged))
    if not plans:
        _check_left(elsewhere, root)
    from indexer.jobs.pipeline.write_shards import ShardTask, index_shards, remove_shards

    network = load()
    for note in network.model.notes:
        reporter.note(note)
    reporter.total(sum(len(plan.ids) for plan in plans.values()))
    task = ShardTask(index, root, manifest.configuration, manifest.batch_size, limits, manifest.intake.max_pixels)
    aside.enter_context(_set_aside([index / shard.file for shard in damaged if not shard.parts]))
    remove_shards(index, plans.values())  # left by interrupted jobs; the files of the index are aside
    try:
        made = index_shards(task, list(plans.values()), network, reporter.progress)
        _check_left(elsewhere + sum(info.rows for info in made), root)
    except (InvalidRequest, NotReproducible):
        remove_shards(index, plans.values())
        raise
    rebuilt = dict(zip(plans, made, strict=True))
    shards = [replace(rebuilt[s.file], first_id=s.first_id, end_id=s.end_id) if s.file in rebuilt else s
              for s in manifest.shards if s.file in rebuilt or s not in damaged]  # fmt: skip
    skipped = manifest.skipped_with((path, "has changed since it was indexed") for path in changed)
    return replace(manifest, shards=shards, skipped=skipped)


def _table(index: Location, manifest: Manifest) -> ImageTable:
    file = manifest.derived["images"]
    if _check(index, file, manifest.checksums[file]):
        raise InvalidRequest(f"{file} is damaged too, so what the shards held is not known; build the index again")
    return ImageTable(index, file)


def _rows(table: ImageTable, shard: ShardInfo) -> range:
    """The rows of a shard's images in the image table."""
    return range(*np.searchsorted(table.id, [shard.first_id, shard.end_id]).tolist())


def _free_number(index: Location, manifest: Manifest, damaged: list[ShardInfo]) -> int:
    """The first of the numbers that no shard has, also not one that an unfinished job is going to write."""
    free = next_number(manifest.shards)
    if not any(shard.parts for shard in damaged):  # then none is needed, and a plan need not be readable
        return free
    plan = unfinished_plan(index, manifest)
    return free if plan is None else max(free, *(shard.number + 1 for shard in plan.shards()))


def _check_left(images: int, root: Location) -> None:
    if not images:
        raise InvalidRequest(
            f"no image of the index would be left, as none below {root} is as it was when it was indexed; put the "
            "originals back, or build the index again"
        )


@contextmanager
def _set_aside(files: Sequence[Location]) -> Iterator[None]:
    """Move files aside so that new ones can take their names; remove them where the block ends well.

    On failure, those go back whose name is still free. So do, or go, those that a killed job has left aside.
    """
    asides = {path: path.parent / f"{path.name}.damaged" for path in files}
    for path, aside in asides.items():
        if path.exists():
            storage_at(path).rename(aside.name)
    try:
        yield
    except BaseException:
        for path, aside in asides.items():
            if aside.exists() and not path.exists():
                storage_at(aside).rename(path.name)
        raise
    for aside in asides.values():
        atomic.remove(aside)


def _plans(
    table: ImageTable, damaged: list[ShardInfo], root: Location, free: int
) -> tuple[dict[str, ShardPlan], list[str]]:
    """The shards to write, all with images, by the file of the damaged one; and the paths whose files have changed.

    Shards of several files get numbers from ``free`` on, as none of their files has all layers.
    """
    plans: dict[str, ShardPlan] = {}
    changed: list[str] = []
    for number, shard in enumerate(damaged, start=free):
        altered = {row for row in _rows(table, shard) if _has_changed(root / table.path(row), table.sha256(row))}
        changed += [table.path(row) for row in sorted(altered)]
        rows = [row for row in _rows(table, shard) if row not in altered]
        files = tuple(ImageFile(table.path(row), table.class_of(row)) for row in rows)
        if files:
            own = number if shard.parts else int(Path(shard.file).stem)
            plans[shard.file] = ShardPlan(own, tuple(table.id[rows].tolist()), files)
    return plans, changed


def _has_changed(original: Location, sha256: str) -> bool:
    try:
        return file_digest(original).hex() != sha256
    except OSError:  # the job that reads it next says why
        return False
