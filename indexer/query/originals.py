"""The original files of indexed images, found again, and compared with their digests before they are shown."""

import hashlib
from collections.abc import Callable

from indexer.errors import ImageUnavailable
from indexer.images.reading import read_file
from indexer.query.records import ImageRecord
from indexer.store.storage import Location, storage_at


class Originals:
    """Originals below an image root, or kept in the shards.

    Parameters
    ----------
    root : Location
        The image root.
    kept : callable or None
        Reads an image's file from its shard, where the index keeps originals.
    follow_links : bool
        Whether the index was made so that links may leave the root. Bytes that are not those indexed are never given.
    """

    def __init__(self, root: Location, kept: Callable[[ImageRecord], bytes] | None, follow_links: bool = False) -> None:
        self._root = root.resolve()
        self._kept = kept
        storage = storage_at(self._root)
        self._path_of = storage.inside_through_links if follow_links else storage.inside

    def read(self, image: ImageRecord) -> bytes:
        """The bytes of an image's file, exactly as they were indexed.

        Raises
        ------
        ImageUnavailable
            The file is gone, or is another one now.
        """
        data = self._kept(image) if self._kept else self._find(image)
        if hashlib.sha256(data).hexdigest() != image.sha256:
            raise ImageUnavailable(
                f"the file of image {image.id} ({image.path}) has changed since it was indexed; remove it and add it "
                "again",
                changed=True,
            )
        return data

    def _find(self, image: ImageRecord) -> bytes:
        cause: Exception | None = None
        try:
            if path := self._path_of(image.path):
                return read_file(path)
        except (OSError, ValueError, RuntimeError) as error:  # a null character, a loop of links
            cause = error
        raise ImageUnavailable(
            f"the file of image {image.id} ({image.path}) is no longer there{self._with_all_others()}", changed=False
        ) from cause

    def _with_all_others(self) -> str:
        lost = storage_at(self._root).is_lost_folder()
        return ", nor is the folder that all were in; --images says where it is now" if lost else ""
