"""manifest.json: what an index is and which files make up its published generation."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from indexer.errors import DamagedFile, IndexBusy, InvalidRequest, NotAnIndex
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.intake import PLAIN as PLAIN_INTAKE
from indexer.index.intake import Intake
from indexer.index.manifest_schema import fault_of
from indexer.index.score_recipe import ScoreRecipe
from indexer.index.shard_info import ShardInfo
from indexer.index.told_outputs import NOTHING_TOLD, ToldOutputs
from indexer.store.storage import Location, storage_at

FORMAT = "unitscope index"
VERSION = 3
OLDER = (1,)
"""Versions that ``upgrade`` rewrites. Version 1 had shards of version 2; since version 3 both count alike."""
_MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class Manifest:
    """One generation of an index.

    Attributes
    ----------
    generation : int
        Counts up by one with every publication.
    configuration : Configuration
    image_root : str
        The absolute path that image paths are relative to. In the file it is "originals" where they lie in that folder
        of the index, so that the index can be moved with them.
    next_id : int
        The id of the next image that is added; ids are never reused.
    shard_size : int
        Images a shard covers.
    shards : list of ShardInfo
    removed : list of int
        Ids that are still in a shard but hidden from every answer.
    images : int
        The number of images that answers cover.
    skipped : list of (str, str)
        Paths that were not even tried, and why. A shard lists by itself the images that it tried and skipped.
    derived : dict of str to str
        Derived files relative to the index: "images", and for each layer "layer NAME" and "vectors NAME".
    checksums : dict of str to str
        sha256 of each derived file.
    vectors : dict of str to dict
        How the vectors of each layer are indexed.
    left_out : list of str
        Fingerprints (`indexer.index.fingerprint.path_fingerprint`) of the paths of removed images, which must not be
        added again.
    intake : Intake
        Where the images come from.
    endings : dict of str to int
        How many files of the folder were left out because of each ending; see `indexer.images.folder.Found`.
    output : str or None
        The layer whose output the network returns; "" if none of the indexed layers is; None in an index of an older
        program, where that is not known.
    told_outputs : ToldOutputs
        What was said of the outputs by hand.
    relabelled : int
        The number of images whose path or class differs from their shard's; "labels" in ``derived`` lists them.
    scores : dict of str to ScoreRecipe
        The layers whose neurons have scores, which each generation works out anew where its images are others.
    """

    generation: int
    configuration: Configuration
    image_root: str
    next_id: int
    shard_size: int
    batch_size: int
    categories: list[str] = field(default_factory=list)
    shards: list[ShardInfo] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    images: int = 0
    derived: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    vectors: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    intake: Intake = PLAIN_INTAKE
    endings: dict[str, int] = field(default_factory=dict)
    output: str | None = None
    relabelled: int = 0
    told_outputs: ToldOutputs = NOTHING_TOLD
    scores: dict[str, ScoreRecipe] = field(default_factory=dict)

    def skipped_with(self, others: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
        """``skipped`` and other pairs of path and reason, each once, sorted."""
        return sorted({(path, reason) for path, reason in (*self.skipped, *others)})

    def to_json(self) -> dict[str, Any]:
        body = {name: getattr(self, name) for name in (
            "generation", "image_root", "next_id", "shard_size", "batch_size", "categories", "removed", "skipped",
            "images", "derived", "checksums", "vectors")}  # fmt: skip
        # Left out when empty, so that older programs can read the index.
        body |= {name: value for name in ("left_out", "endings", "relabelled") if (value := getattr(self, name))}
        if self.output is not None:
            body["output"] = self.output
        if self.told_outputs != NOTHING_TOLD:
            body["told_outputs"] = self.told_outputs.to_json()
        if self.scores:
            body["scores"] = {layer: recipe.to_json() for layer, recipe in self.scores.items()}
        if self.intake != PLAIN_INTAKE:
            body["intake"] = self.intake.to_json()
        return {
            "format": FORMAT,
            "version": VERSION,
            **body,
            "configuration": self.configuration.to_json(),
            "shards": [shard.to_json() for shard in self.shards],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Manifest":
        fields = {key: value for key, value in data.items() if key not in ("format", "version")}
        fields["configuration"] = Configuration.from_json(data["configuration"])
        fields["shards"] = [ShardInfo.from_json(shard) for shard in data["shards"]]
        if "intake" in data:
            fields["intake"] = Intake.from_json(data["intake"])
        if "told_outputs" in data:
            fields["told_outputs"] = ToldOutputs(**data["told_outputs"])
        fields["scores"] = {layer: ScoreRecipe(**recipe) for layer, recipe in data.get("scores", {}).items()}
        manifest = cls(**fields)
        for file in manifest.files:
            _check_inside(file)
        return manifest

    def with_originals_inside(self, index: Location) -> "Manifest":
        """The same, with the original images in a folder of the index."""
        return replace(self, image_root=_originals_in(index))

    @property
    def files(self) -> list[str]:
        """Every file of the generation except the manifest, relative to the index."""
        return [*self.shard_checksums, *self.configuration.dictionaries, *self.derived.values()]

    @property
    def shard_checksums(self) -> dict[str, str]:
        """sha256 of every file of shards, by its path relative to the index."""
        return {file: sha256 for shard in self.shards for file, sha256 in shard.checksums.items()}


def _originals_in(index: Location) -> str:
    return str(index.resolve() / layout.ORIGINALS)


def _check_inside(file: str) -> None:
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or "\0" in file:
        raise ValueError(f"the file {file!r} lies outside the index")


def check_no_links(index: Location, manifest: Manifest) -> None:
    """Refuse an index with symbolic links to files elsewhere, or with pipes and devices, which may never end.

    Raises
    ------
    DamagedFile
    """
    root = index.resolve()
    for file in manifest.files:
        if storage_at(root).inside(file) is None:
            raise DamagedFile(file, "is a symbolic link that leaves the index")
        if not (root / file).is_file() and (root / file).exists():
            raise DamagedFile(file, "is not a file")


def read_manifest(index: Location) -> Manifest:
    """Read and check the manifest of an index.

    Raises
    ------
    NotAnIndex
        The folder holds no manifest.
    DamagedFile
        The file is not a manifest, or is of another format.
    """
    data = _read(index)
    if (version := data.get("version")) == VERSION:
        manifest = _parsed(data)
        manifest = replace(manifest, configuration=replace(manifest.configuration, home=str(index.resolve())))
        inside = manifest.image_root == layout.ORIGINALS
        return manifest.with_originals_inside(index) if inside else manifest
    advice = "; upgrade rewrites it: python -m indexer upgrade INDEX" if version in OLDER else ""
    raise DamagedFile(layout.MANIFEST, f"has format version {version}, this program reads version {VERSION}{advice}")


def read_older_manifest(index: Location) -> Manifest | None:
    """The manifest of an index that ``upgrade`` rewrites; None if it has today's format.

    Raises
    ------
    NotAnIndex, DamagedFile
    """
    data = _read(index)
    return _parsed(data) if data.get("version") in OLDER else None


def _read(index: Location) -> dict[str, Any]:
    path = layout.manifest_path(index)
    try:
        status = path.stat()
        if storage_at(path).is_irregular() or status.st_size > _MAX_BYTES:
            raise DamagedFile(layout.MANIFEST, f"is not a file, or is larger than {_MAX_BYTES} bytes")
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotAnIndex(f"{index} holds no index (there is no {layout.MANIFEST})") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFile(layout.MANIFEST, "is not JSON; restore it or build the index again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DamagedFile(layout.MANIFEST, "is not the manifest of a unitscope index")
    return data


def _parsed(data: dict[str, Any]) -> Manifest:
    try:
        if fault := fault_of(data):
            raise DamagedFile(layout.MANIFEST, f"lacks or garbles a field ({fault})")
        return Manifest.from_json(data)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        OverflowError,
        InvalidRequest,
        RecursionError,
    ) as error:
        raise DamagedFile(layout.MANIFEST, f"lacks or garbles a field ({type(error).__name__}: {error})") from error


def stamp(index: Location) -> tuple[object, ...]:
    """A value that changes with every publication, found without reading the manifest.

    Raises
    ------
    NotAnIndex
    """
    try:
        return storage_at(layout.manifest_path(index)).fingerprint()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotAnIndex(f"{index.name} holds no index") from error


def encoded(index: Location, manifest: Manifest) -> bytes:
    """The content of ``manifest.json``."""
    body = manifest.to_json()
    if manifest.image_root == _originals_in(index):
        body["image_root"] = layout.ORIGINALS
    return json.dumps(body, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def checked(index: Location, manifest: Manifest) -> bytes:
    """As `encoded`, of a manifest that can be read again.

    Raises
    ------
    InvalidRequest
        This program would refuse it.
    """
    data = encoded(index, manifest)
    try:
        if len(data) > _MAX_BYTES:
            raise DamagedFile(layout.MANIFEST, f"is larger than {_MAX_BYTES} bytes")
        _parsed(json.loads(data))
    except DamagedFile as error:
        raise InvalidRequest(
            f"nothing was published, as no program could read the index then: its {error.file} {error.cause}"
        ) from error
    return data


def publish(index: Location, manifest: Manifest) -> None:
    """Make a generation the visible one: one atomic rename, or one conditional write.

    Raises
    ------
    IndexBusy
        Another job has published meanwhile. This happens only in a bucket, where no lock of the system prevents it.
    InvalidRequest
        This program would refuse the manifest; the one that is there stays.
    """
    path = layout.manifest_path(index)
    data = checked(index, manifest)
    try:
        storage_at(path).replace_if(data, lambda: _comes_next(index, manifest.generation))
    except FileExistsError as error:
        raise IndexBusy(f"another job has published {index} meanwhile; nothing was changed") from error


def _comes_next(index: Location, generation: int) -> bool:
    if generation == 1 and not layout.manifest_path(index).exists():
        return True
    return (read_older_manifest(index) or read_manifest(index)).generation == generation - 1
