"""The explorer's files: a page and the modules, styles and pictures that it loads.

``Explorer.load()`` reads ``page/`` once. ``version`` is a digest of all files and part of their URLs. So a browser may
keep the files for ever and still never mixes two versions.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from indexer.errors import NotFound

PAGE: Final = "index.html"
VERSION_MARK: Final = "{{version}}"
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Explorer:
    """See the module's description.

    Attributes
    ----------
    page : bytes
        The HTML that loads the rest.
    version : str
    files : mapping of str to bytes
        By path below ``page/``, with forward slashes.
    """

    page: bytes
    version: str
    files: Mapping[str, bytes]

    @classmethod
    def load(cls) -> "Explorer":
        """Read the files of the installed package."""
        files = dict(sorted(_files(resources.files(__package__) / "page", "")))
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(f"{name} {len(content)}\n".encode() + content)
        version = digest.hexdigest()[:16]
        page = files.pop(PAGE).decode().replace(VERSION_MARK, version).encode()
        return cls(page, version, files)

    def file(self, name: str) -> tuple[bytes, str]:
        """A file and its media type.

        Raises
        ------
        NotFound
        """
        if name not in self.files:
            raise NotFound(f"the explorer has no file {name[:100]!r}")
        return self.files[name], MEDIA_TYPES[name[name.rindex(".") :]]


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()
