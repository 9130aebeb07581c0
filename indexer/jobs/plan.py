"""The plan of a job: what it will index, written down before it starts.

An interrupted job resumes from its plan. So the result does not depend on when the job was interrupted, or on files
that came or went meanwhile. The i-th image of a plan has the id ``first_id + i``, whether or not it turns out to be
usable. Shard ``first_shard + s`` covers the images from ``s * shard_size`` on.
"""

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer.errors import DamagedFile, InvalidRequest
from indexer.images.listing import ImageFile, Listing
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.intake import Intake
from indexer.index.manifest import Manifest
from indexer.index.shard_info import next_number
from indexer.index.told_outputs import NOTHING_TOLD, ToldOutputs
from indexer.store import atomic
from indexer.store.storage import Location

FORMAT = "unitscope plan"
VERSION = 1


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write: its number, the ids of its images and their files."""

    number: int
    ids: Sequence[int]
    files: tuple[ImageFile, ...]


@dataclass(frozen=True)
class Plan:
    """See the module's description."""

    configuration: Configuration
    image_root: str
    categories: list[str]
    first_id: int
    first_shard: int
    shard_size: int
    batch_size: int
    skipped: list[tuple[str, str]]
    files: list[ImageFile]
    intake: Intake | None = None
    """The intake of the index after the job; None in a plan of an older program."""
    endings: dict[str, int] = field(default_factory=dict)
    """The same as in the manifest."""
    output: str | None = None
    """The same as in the manifest."""
    told_outputs: ToldOutputs = NOTHING_TOLD
    """The same as in the manifest."""

    @property
    def next_id(self) -> int:
        return self.first_id + len(self.files)

    def shards(self) -> list[ShardPlan]:
        """The shards, in order."""
        plans = []
        for number, first in enumerate(range(0, len(self.files), self.shard_size), start=self.first_shard):
            files = self.files[first : first + self.shard_size]
            start = self.first_id + first
            plans.append(ShardPlan(number, range(start, start + len(files)), tuple(files)))
        return plans

    def write(self, index: Location) -> None:
        header = {key: getattr(self, key) for key in _PLAIN}
        header |= {"intake": self.intake.to_json() if self.intake else None, "endings": self.endings}
        header |= {"output": self.output, "told_outputs": self.told_outputs.to_json()}
        header |= {"format": FORMAT, "version": VERSION, "configuration": self.configuration.to_json()}
        lines = ({"path": file.path, "class": file.class_} for file in self.files)
        with atomic.publishing(layout.plan_path(index)) as partial, partial.open("w", encoding="ascii") as written:
            for line in itertools.chain([header], lines):
                written.write(json.dumps(line) + "\n")


_PLAIN = ("image_root", "categories", "first_id", "first_shard", "shard_size", "batch_size", "skipped")


def new_plan(
    manifest: Manifest | None,
    listing: Listing,
    configuration: Configuration,
    categories: list[str],
    shard_size: int,
    batch_size: int,
    intake: Intake,
    output: str | None,
    told_outputs: ToldOutputs,
) -> Plan:
    """The plan of a job that indexes a listing. Its ids and shards follow those of ``manifest``, if there is one."""
    return Plan(
        configuration=configuration,
        image_root=str(listing.root),
        categories=categories,
        first_id=manifest.next_id if manifest else 0,
        first_shard=next_number(manifest.shards) if manifest else 0,
        shard_size=shard_size,
        batch_size=batch_size,
        skipped=list(listing.skipped),
        files=listing.files,
        intake=intake,
        output=output,
        told_outputs=told_outputs,
        endings=dict(listing.endings) if intake.folder else {},
    )


def read_plan(index: Location) -> Plan | None:
    """The plan of an interrupted job, if there is one.

    Raises
    ------
    DamagedFile
    """
    try:
        with layout.plan_path(index).open("r", encoding="ascii") as lines:
            header = lines.readline()
            if not header:
                raise DamagedFile(layout.PLAN, "is empty")
            data: dict[str, Any] = json.loads(header)
            if data.get("format") != FORMAT or data.get("version") != VERSION:
                raise DamagedFile(layout.PLAN, f"is not a plan of format version {VERSION}")
            return Plan(
                configuration=Configuration.from_json(data["configuration"]),
                files=[_file(json.loads(line)) for line in lines],
                intake=Intake.from_json(data["intake"]) if data.get("intake") else None,
                endings=data.get("endings", {}),
                output=data.get("output"),
                told_outputs=ToldOutputs(**data.get("told_outputs", {})),
                **({key: data[key] for key in _PLAIN} | {"skipped": [(path, why) for path, why in data["skipped"]]}),
            )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(layout.PLAN, f"cannot be read ({error}); remove it to start over") from error


def _file(row: dict[str, Any]) -> ImageFile:
    class_ = row["class"]
    return ImageFile(row["path"], None if class_ is None else sys.intern(class_))  # many images share few names


def unfinished_plan(index: Location, manifest: Manifest | None) -> Plan | None:
    """The plan of a job that was interrupted before it published, if there is one.

    The plan of a job that published but had not yet removed it is removed now.
    """
    plan = read_plan(index)
    if plan is not None and manifest is not None and plan.first_id < manifest.next_id:
        layout.plan_path(index).unlink()
        return None
    return plan


def refuse_unfinished(index: Location, manifest: Manifest) -> None:
    """Refuse an index with an unfinished job.

    Raises
    ------
    InvalidRequest
    """
    if unfinished_plan(index, manifest) is not None:
        raise InvalidRequest("an unfinished job is there; finish it first, by the command that started it")
