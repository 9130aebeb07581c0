"""Where a job takes its images from, and whether the index takes its images from there too."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from indexer.defaults import MAX_PIXELS
from indexer.derive.image_table import ImageTable
from indexer.errors import ConfigurationMismatch, InvalidRequest
from indexer.images.columns import Wanted
from indexer.images.listing import LIST_SUFFIXES, ImageFile, Listing, list_images
from indexer.index.intake import PLAIN, Intake, ListSource
from indexer.index.manifest import Manifest
from indexer.store.remote import parse_location
from indexer.store.storage import Location, storage_at

Say = Callable[[str], None]
MOST_PIXELS = 1 << 28
"""The highest ``max_pixels`` that may be asked for: 800 MB of RGB. It is the manifest's bound as well."""


@dataclass(frozen=True)
class Origin:
    """An image root, and the intake of images below it."""

    root: Location
    intake: Intake

    def __str__(self) -> str:
        sources = [f"the folder {self.root}"] if self.intake.folder else []
        sources += [f"the list {source.path}" for source in self.intake.lists]
        return " and ".join(sources)


def origin_of(
    images: Location,
    root: Location | None = None,
    wanted: Wanted | None = None,
    follow_links: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Origin:
    """The origin that a person names when an index is built. No file is read.

    Raises
    ------
    InvalidRequest
        ``max_pixels`` is not 1 to `MOST_PIXELS`.
    """
    if not 1 <= max_pixels <= MOST_PIXELS:
        raise InvalidRequest(f"--max-pixels must be 1 to {MOST_PIXELS}, not {max_pixels}")
    intake = Intake(follow_links=follow_links, max_pixels=max_pixels)
    if _is_list(images):
        intake = replace(intake, folder=False, lists=(list_source(images, wanted),))
        return Origin((root or images.parent).resolve(), intake)
    return Origin(images.resolve(), intake)


def list_source(images: Location, wanted: Wanted | None = None) -> ListSource:
    """A list in the form in which the index remembers it."""
    return ListSource(storage_at(images).absolute_name(), wanted or Wanted())


def _is_list(images: Location) -> bool:
    return images.suffix.lower() in LIST_SUFFIXES and not images.is_dir()


def list_origin(origin: Origin, say: Say = lambda text: None) -> Listing:
    """All images that an index takes in, as they are now. If several lists name an image, the last one gives its class.

    Raises
    ------
    InvalidRequest
        The folder or a list is gone, malformed or holds no image.
    """
    root, intake = origin.root, origin.intake
    check_root(root)
    files: dict[str, ImageFile] = {}
    skipped: dict[str, str] = {}
    endings: dict[str, int] = {}
    for source in intake.lists:
        _check_list(source)
    listings = [list_images(root, follow_links=intake.follow_links)] if intake.folder else []
    listings += [list_images(parse_location(s.path), root, s.wanted, intake.follow_links) for s in intake.lists]
    for listing in listings:
        for note in listing.notes:
            say(note)
        skipped |= dict(listing.skipped)
        endings |= listing.endings
        files |= {file.path: file for file in listing.files if listing.classes or file.path not in files}
    return Listing(
        root,
        [files[path] for path in sorted(files)],
        sorted((path, reason) for path, reason in skipped.items() if path not in files),
        listings[0].endings if intake.folder else type(listings[0].endings)(endings),
        any(listing.classes for listing in listings),
    )


def check_root(root: Location) -> None:
    """Refuse to look for images if their folder is gone."""
    if storage_at(root).is_lost_folder():
        raise InvalidRequest(
            f"{root}, the folder of the images, is no longer there; put a symbolic link there to where they are now"
        )


def _check_list(source: ListSource) -> None:
    if not parse_location(source.path).is_file():
        raise InvalidRequest(
            f"{source.path}, the list that the index was made from, is no longer there; put it back, or name the one "
            "that takes its place: add INDEX LIST"
        )


def without_lost_lists(intake: Intake, say: Say) -> Intake:
    """The intake without lists that are gone. Call it only when a person names another source."""
    existing = tuple(source for source in intake.lists if parse_location(source.path).is_file())
    for source in intake.lists:
        if source not in existing:
            say(f"{source.path} is no longer there; the index forgets that list")
    return replace(intake, lists=existing)


def refuse_other_origin(there: Origin, here: Origin, subject: str, index: Location) -> None:
    """Refuse images that are not those of the index or the job, which ``subject`` names.

    Raises
    ------
    ConfigurationMismatch
        The message says where its images come from, and how more are added.
    """
    if there.root != here.root or not _takes_in(there.intake, here.intake):
        raise ConfigurationMismatch(
            f"{subject} is about other images: those of {there}, not of {here}. `add {index}` takes in new images "
            f"there, `add {index} LIST` those that a list names below {there.root}; other images need an index of "
            "their own (--out)"
        )
    for option, mine, other in (
        ("--follow-links", there.intake.follow_links, here.intake.follow_links),
        ("--max-pixels", there.intake.max_pixels, here.intake.max_pixels),
    ):
        if mine != other:
            raise ConfigurationMismatch(f"{subject} has another configuration: {option}: {mine} there, {other} here")
    for source in here.intake.lists:
        if source not in there.intake.lists:
            raise ConfigurationMismatch(
                f"{subject} takes paths and classes from other columns of {source.path}; "
                f"`relabel {index} {source.path}` with --class-column changes the classes"
            )


def _takes_in(there: Intake, here: Intake) -> bool:
    known = {source.path for source in there.lists}
    return (there.folder or not here.folder) and all(source.path in known for source in here.lists)


def from_a_forgotten_list(table: ImageTable, intake: Intake) -> bool:
    """Whether an index was made from a list that its manifest does not record: its classes are not its folders."""
    if intake != PLAIN:
        return False
    return any(table.class_of(row) != folder_class(table.path(row)) for row in range(len(table)))


def folder_class(path: str) -> str | None:
    """The class of an image in a folder of class folders."""
    first, *others = PurePosixPath(path).parts
    return first if others else None


def origin_in(manifest: Manifest) -> Origin:
    """Where the images of an index come from."""
    return Origin(parse_location(manifest.image_root), manifest.intake)
