"""The images that `add` and `relabel` look at: those of the index's own source, or a list that it then remembers."""

from collections.abc import Callable
from dataclasses import replace

from indexer.derive.generation import derive_and_publish
from indexer.derive.image_table import ImageTable
from indexer.errors import InvalidRequest
from indexer.images.columns import Wanted
from indexer.images.listing import Listing, list_images
from indexer.index.intake import Intake
from indexer.index.manifest import Manifest
from indexer.jobs.origin.sources import (
    Origin,
    Say,
    check_root,
    from_a_forgotten_list,
    list_origin,
    list_source,
    origin_in,
    without_lost_lists,
)
from indexer.store.remote import parse_location
from indexer.store.storage import Location


def taken_in(
    manifest: Manifest, table: ImageTable, images: Location | None, columns: Wanted | None, say: Say
) -> tuple[Intake, Listing]:
    """The intake of the index from now on, and the images to look at now.

    Parameters
    ----------
    images : Path or None
        A list, the image root, or None for the place that the index takes its images from.
    columns : Wanted or None
        The columns of the list.

    Raises
    ------
    InvalidRequest
        ``images`` is another folder than the image root, or the index was made from a list that it does not remember.
    """
    root = parse_location(manifest.image_root)
    check_root(root)
    if images is not None and images.is_dir():
        return _folder(manifest, images, say)
    if images is not None:
        return _list(manifest, table, images, columns, say)
    if columns not in (None, Wanted()):
        raise InvalidRequest("--path-column and --class-column go with a list: name it")
    if from_a_forgotten_list(table, manifest.intake):
        raise InvalidRequest(
            "the index was made from a list, and is too old to remember it; name the list, or the folder "
            f"{manifest.image_root} for all that is below it"
        )
    return manifest.intake, list_origin(origin_in(manifest), say)


def _folder(manifest: Manifest, images: Location, say: Say) -> tuple[Intake, Listing]:
    root = parse_location(manifest.image_root)
    if images.resolve() != root:
        raise InvalidRequest(f"the index is about images below {root}; {images} is not that folder")
    intake = replace(without_lost_lists(manifest.intake, say), folder=True)
    return intake, list_origin(Origin(root, intake), say)


def _list(
    manifest: Manifest, table: ImageTable, images: Location, columns: Wanted | None, say: Say
) -> tuple[Intake, Listing]:
    listing = list_images(images, parse_location(manifest.image_root), columns, manifest.intake.follow_links)
    for note in listing.notes:
        say(note)
    known = replace(manifest.intake, folder=False) if from_a_forgotten_list(table, manifest.intake) else manifest.intake
    return without_lost_lists(known, say).with_list(list_source(images, columns)), listing


def remember(index: Location, manifest: Manifest, intake: Intake, report: Callable[[str], None]) -> Manifest:
    """Publish a new intake without any other change; do nothing if the index has it already."""
    if manifest.intake == intake:
        return manifest
    return derive_and_publish(index, replace(manifest, intake=intake), report)
