"""From a plan to a published generation: the shards, the derived files, the manifest."""

from collections.abc import Sequence
from dataclasses import replace

from indexer.derive.executor import Executor
from indexer.derive.generation import derive_and_publish
from indexer.errors import NotFound, NotReproducible
from indexer.images.left_out import none_usable
from indexer.index import layout
from indexer.index.fingerprint import path_fingerprint
from indexer.index.manifest import Manifest, checked
from indexer.index.shard_info import ShardInfo
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline.write_shards import Engine, run_plan
from indexer.jobs.plan import Plan
from indexer.jobs.reporter import Reporter
from indexer.shards.reader import Shard
from indexer.store import atomic
from indexer.store.storage import Location


def carry_out(
    index: Location, manifest: Manifest | None, plan: Plan, engine: Engine, reporter: Reporter, limits: Limits
) -> Manifest:
    """Write the shards of a plan that are not there yet, and publish them with those of ``manifest``, if there is one.

    If no image of the plan can be used, nothing is published: the returned manifest is the given one, with the unusable
    images in ``skipped``.

    Raises
    ------
    NotFound
        No image can be used, and there is no manifest yet.
    NotReproducible
        Nothing that the job has written is left.
    InvalidRequest
        The index lists a file that the plan is to write, or its manifest could not be read again.
    IndexBusy, BadActivations, EngineUnavailable
    """
    checked(index, _grown(manifest, plan, []))  # now, not when all images have passed
    plan.write(index)
    reporter.total(len(plan.files))
    try:
        listed = manifest.shard_checksums if manifest else {}
        shards = run_plan(index, plan, listed, engine, reporter.progress, limits)
    except NotReproducible:  # none of its shards is left
        layout.plan_path(index).unlink()
        raise
    if not any(shard.rows for shard in shards):
        unusable = _undo(index, shards)
        if manifest is None:
            raise NotFound(none_usable(unusable))
        return replace(manifest, skipped=manifest.skipped_with(unusable))
    grown = _grown(manifest, plan, shards)
    published = derive_and_publish(index, grown, reporter.stage, engine if isinstance(engine, Executor) else None)
    layout.plan_path(index).unlink()
    return published


def _grown(manifest: Manifest | None, plan: Plan, shards: Sequence[ShardInfo]) -> Manifest:
    """The manifest with the shards of a plan."""
    if manifest is None:
        manifest = Manifest(
            0, plan.configuration, plan.image_root, 0, plan.shard_size, plan.batch_size, plan.categories
        )
    return replace(
        manifest,
        shards=[*manifest.shards, *shards],
        next_id=plan.next_id,
        skipped=manifest.skipped_with(plan.skipped),
        left_out=sorted({*manifest.left_out} - {path_fingerprint(file.path) for file in plan.files}),
        intake=plan.intake or manifest.intake,
        endings=plan.endings or manifest.endings,
        output=manifest.output if plan.output is None else plan.output,
        told_outputs=plan.told_outputs,
    )


def _undo(index: Location, shards: Sequence[ShardInfo]) -> list[tuple[str, str]]:
    """Undo a job none of whose images could be used. Returns each image's path and the reason."""
    skipped = []
    for info in shards:
        with Shard(index / info.file, info.file) as shard:
            skipped += shard.skipped()
        atomic.remove(index / info.file)  # before the plan: the next job must not take this shard for its own
    layout.plan_path(index).unlink()
    return skipped
