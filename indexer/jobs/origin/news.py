"""Says what has changed in the place that an index's images come from. Nothing is changed in the index."""

from collections.abc import Collection

from indexer.derive.image_table import ImageTable
from indexer.errors import UnitscopeError
from indexer.images.listing import Listing
from indexer.index.fingerprint import path_fingerprint
from indexer.index.manifest import Manifest
from indexer.jobs.info import skipped_images
from indexer.jobs.origin.sources import Origin, Say, from_a_forgotten_list, list_origin
from indexer.store.storage import Location


def say_news(index: Location, manifest: Manifest, origin: Origin, say: Say) -> None:
    """Say what `add` would take in, what `relabel` would change, and which images are gone."""
    table = ImageTable(index, manifest.derived["images"])
    try:
        listing = list_origin(origin)
    except (UnitscopeError, OSError) as error:
        say(f"{index} is as it was; whether there are new images cannot be seen: {error}")
        return
    known = set(table.paths())
    new = len(new_paths(index, manifest, listing, known))
    gone = len(known - {file.path for file in listing.files})
    if new and from_a_forgotten_list(table, manifest.intake):
        new = gone = 0  # the index was made from a list, so the folder does not tell what is new or gone
    missing, fresh = f"{_are(gone, 'of the index')} no longer there", f"{_are(new, 'there')} not in the index"
    if new and gone:
        say(f"{missing}, and {fresh}: `relabel {index}` finds moved ones, then `add {index}` takes in the rest")
    elif new:
        say(f"{fresh}: `add {index}` takes {_them(new)} in")
    elif gone:
        say(f"{missing}: `remove {index} --path PATH` hides them")
    say_other_classes(index, table, listing, say, from_a_forgotten_list(table, manifest.intake))


def new_paths(index: Location, manifest: Manifest, listing: Listing, known: Collection[str]) -> set[str]:
    """Images that were neither indexed, nor found to be unusable, nor removed."""
    tried = {path for path, _ in skipped_images(index, manifest)}
    removed = set(manifest.left_out)
    unknown = {file.path for file in listing.files} - set(known) - tried
    return {path for path in unknown if path_fingerprint(path) not in removed} if removed else unknown


def say_other_classes(index: Location, table: ImageTable, listing: Listing, say: Say, unknown: bool = False) -> None:
    """Say how many images have another class now. A list without classes, or a forgotten one, cannot tell."""
    if not listing.classes or unknown:
        return
    wanted = {file.path: file.class_ for file in listing.files}
    paths = table.paths()
    other = sum(path in wanted and wanted[path] != table.class_of(row) for row, path in enumerate(paths))
    if other:
        has = "has" if other == 1 else "have"
        took = f"`relabel {index}` takes {_them(other)} over, without running the network"
        say(f"{_images(other)} of the index {has} another class there: {took}")


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _are(count: int, where: str) -> str:
    return f"{_images(count)} {where} {'is' if count == 1 else 'are'}"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def say_moved(index: Location, known: Collection[str], listing: Listing, say: Say) -> None:
    """Say that images may have been moved: `add` takes a moved image for a new one."""
    listed = {file.path for file in listing.files}
    gone, new = len(set(known) - listed), len(listed - set(known))
    if gone and new:
        advice = f"if files were moved, end this and run `relabel {index}` first: here they count as new"
        say(f"{_are(gone, 'of the index')} no longer there; {advice}")
