"""The original files of indexed images, found again, and compared with their digests before they are shown."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from indexer.errors import ImageUnavailable
from indexer.images.reading import read_file
from indexer.query.records import ImageRecord
from indexer.store.remote import RemotePath


class Originals:
    """Originals below an image root, or kept in the shards.

    Parameters
    ----------
    root : Path
        The image root.
    kept : callable or None
        Reads an image's file from its shard, where the index keeps originals.
    follow_links : bool
        Whether the index was made so that links may leave the root. Bytes that are not those indexed are never given.
    """

    def __init__(self, root: Path, kept: Callable[[ImageRecord], bytes] | None, follow_links: bool = False) -> None:
        self._root = root.resolve()
        self._kept = kept
        self._follow_links = follow_links

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
            path = (self._root / image.path).resolve()
            if self._follow_links and not isinstance(self._root, RemotePath):  # links may leave, the path itself not
                if Path(os.path.normpath(self._root / image.path)).is_relative_to(self._root):
                    return read_file(path)
            elif path.is_relative_to(self._root):
                return read_file(path)
        except (OSError, ValueError, RuntimeError) as error:  # a null character, a loop of links
            cause = error
        raise ImageUnavailable(
            f"the file of image {image.id} ({image.path}) is no longer there{self._with_all_others()}", changed=False
        ) from cause

    def _with_all_others(self) -> str:
        if isinstance(self._root, RemotePath) or self._root.is_dir():
            return ""
        return ", nor is the folder that all were in; --images says where it is now"
