"""What a job is going to index, written down before it starts.

A job that is interrupted resumes from its plan, so that the result does not depend on where it was interrupted or on
files that came or went meanwhile. The i-th image of a plan has the id ``first_id + i``, whether or not it turns out to
be usable; shard ``first_shard + s`` covers the images from ``s * shard_size`` on.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from indexer.errors import DamagedFile
from indexer.images.listing import ImageFile
from indexer.store import atomic, layout
from indexer.store.manifest import Configuration, Manifest

FORMAT = "unitscope plan"
VERSION = 1


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write: its number, the ids of its images and their files."""

    number: int
    ids: tuple[int, ...]
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

    @property
    def next_id(self) -> int:
        return self.first_id + len(self.files)

    def shards(self) -> list[ShardPlan]:
        """The shards, in order."""
        plans = []
        for number, first in enumerate(range(0, len(self.files), self.shard_size), start=self.first_shard):
            files = self.files[first : first + self.shard_size]
            start = self.first_id + first
            plans.append(ShardPlan(number, tuple(range(start, start + len(files))), tuple(files)))
        return plans

    def write(self, index: Path) -> None:
        header = {key: getattr(self, key) for key in _PLAIN}
        header |= {"format": FORMAT, "version": VERSION, "configuration": self.configuration.to_json()}
        lines = [header, *({"path": file.path, "class": file.class_} for file in self.files)]
        atomic.write_bytes(
            layout.plan_path(index), b"".join(json.dumps(line).encode("ascii") + b"\n" for line in lines)
        )


_PLAIN = ("image_root", "categories", "first_id", "first_shard", "shard_size", "batch_size", "skipped")


def read_plan(index: Path) -> Plan | None:
    """The plan of an interrupted job, if there is one.

    Raises
    ------
    DamagedFile
    """
    try:
        header, *lines = layout.plan_path(index).read_bytes().splitlines()
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DamagedFile(layout.PLAN, "is empty") from error
    try:
        data: dict[str, Any] = json.loads(header)
        if data.get("format") != FORMAT or data.get("version") != VERSION:
            raise DamagedFile(layout.PLAN, f"is not a plan of format version {VERSION}")
        rows = [json.loads(line) for line in lines]
        return Plan(
            configuration=Configuration.from_json(data["configuration"]),
            files=[ImageFile(row["path"], row["class"]) for row in rows],
            **{key: data[key] for key in _PLAIN},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(layout.PLAN, f"cannot be read ({error}); remove it to start over") from error


def unfinished_plan(index: Path, manifest: Manifest | None) -> Plan | None:
    """The plan of a job that was interrupted before it published, if there is one.

    A plan that was published, but not yet removed, is removed.
    """
    plan = read_plan(index)
    if plan is not None and manifest is not None and plan.first_id < manifest.next_id:
        layout.plan_path(index).unlink()
        return None
    return plan
