"""How a manifest lists a shard, and the further files that hold layers which were added to it later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MAX_PARTS: Final = 256
"""The most further files that a shard may have; a reader opens them all."""


@dataclass(frozen=True)
class ShardPart:
    """A further file of a shard: other layers of the same images.

    Attributes
    ----------
    file, sha256 : str
    layers : tuple of str
        The layers that are read from this file.
    configuration : str
        Digest of the configuration with which the file was written.
    """

    file: str
    sha256: str
    layers: tuple[str, ...]
    configuration: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ShardPart":
        return cls(data["file"], data["sha256"], tuple(data["layers"]), data["configuration"])

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"layers": list(self.layers)}


@dataclass(frozen=True)
class ShardInfo:
    """A shard: its file relative to the index, number of images (rows), sha256, and the run of ids it covers.

    ``first_id`` is inclusive, ``end_id`` exclusive. Ids in between without a row belong to images that were skipped.
    ``configuration`` is the digest of the configuration with which the file was written; None if it is the index's.
    Layers that are in none of the ``parts`` are read from ``file``.
    """

    file: str
    rows: int
    sha256: str
    first_id: int
    end_id: int
    skipped: int = 0
    configuration: str | None = None
    parts: tuple[ShardPart, ...] = ()

    @property
    def checksums(self) -> dict[str, str]:
        """sha256 of each file, its own and those of its parts."""
        return {self.file: self.sha256} | {part.file: part.sha256 for part in self.parts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ShardInfo":
        return cls(**{**data, "parts": tuple(map(ShardPart.from_json, data.get("parts", ())))})

    def to_json(self) -> dict[str, Any]:
        body = {name: value for name, value in vars(self).items() if name not in ("configuration", "parts")}
        if self.configuration is not None:
            body["configuration"] = self.configuration
        if self.parts:
            body["parts"] = [part.to_json() for part in self.parts]
        return body


def next_number(shards: Sequence[ShardInfo]) -> int:
    """The number of the next shard file: one more than that of any listed file."""
    return 1 + max((int(Path(file).stem) for shard in shards for file in shard.checksums), default=-1)
