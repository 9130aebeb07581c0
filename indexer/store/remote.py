"""Files in a bucket, or wherever else fsspec leads, by URL.

`parse_location` makes a path of what a person names: a `pathlib.Path`, or for a URL such as ``s3://bucket/folder`` a
`RemotePath`, which has the part of its interface that jobs and readers of an index use. What differs is decided where
it does (`indexer.store.remote_storage`): remote files are prepared on this machine and uploaded whole, read by range
(shards) or copied into a bounded cache and mapped from there (`indexer.store.cache`).

Credentials and endpoints come from the environment alone (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...).
"""

import contextlib
import functools
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Protocol

from indexer.errors import NotInstalled, StorageUnavailable
from indexer.store import held

if TYPE_CHECKING:
    from indexer.store.cache import Cache

_BLOCK = 1 << 16
_BLOCKS_KEPT = 64
RETRY = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
"""How often, and for how long, a request to a store is made again."""
_TIMEOUTS = {"timeout": "60s", "connect_timeout": "3s"}
_REFUSALS = ("PermissionDeniedError", "UnauthenticatedError", "PermissionError")
_OBJECT_STORES = ("s3", "s3a", "gs", "az", "abfs")


class _FileSystem(Protocol):
    """What is asked of fsspec's file systems, which bring no types."""

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes: ...
    def find(self, path: str, *, refresh: bool) -> list[str]: ...
    def get_file(self, path: str, to: str) -> None: ...
    def info(self, path: str, *, refresh: bool) -> dict[str, Any]: ...
    def ls(self, path: str, *, detail: bool, refresh: bool) -> list[str]: ...
    def pipe_file(self, path: str, value: bytes, *, mode: str | dict[str, str]) -> dict[str, str]: ...
    def put_file(self, file: str, path: str) -> None: ...
    def rm_file(self, path: str) -> None: ...


def parse_location(name: "str | Path | RemotePath") -> "Path | RemotePath":
    """The path that a person names, on this machine or by URL."""
    if isinstance(name, RemotePath):
        return name
    if "://" not in str(name):
        return Path(name)
    protocol, _, rest = str(name).partition("://")
    return Path("/" + rest.lstrip("/")) if protocol == "file" else RemotePath(protocol, PurePosixPath(rest.strip("/")))


@dataclass(frozen=True)
class Status:
    """Size in bytes of a remote file, and what is different for any other content."""

    st_size: int
    version: str


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder by protocol and path, the bucket first; `str` gives its URL.

    Every call raises `StorageUnavailable` where the storage does not answer, or refuses to; every call that writes or
    removes raises `IndexBusy` where this process had the lease of the folder, and another has it now.
    """

    protocol: str
    path: PurePosixPath
    copies: "Cache | None" = field(default=None, compare=False, repr=False)
    """Where files that are mapped are copied to, if not where this process keeps copies by default."""

    def copied_to(self, copies: "Cache") -> "RemotePath":
        """The same path, whose files and those below it are copied there."""
        return replace(self, copies=copies)

    def _at(self, path: PurePosixPath) -> "RemotePath":
        return RemotePath(self.protocol, path, self.copies)

    def __str__(self) -> str:
        return f"{self.protocol}://{self.path}"

    def __truediv__(self, name: str | PurePosixPath) -> "RemotePath":
        return self._at(self.path / str(name).lstrip("/"))

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        return self.path.suffix

    @property
    def parent(self) -> "RemotePath":
        return self._at(self.path.parent)

    def resolve(self) -> "RemotePath":
        return self

    def is_relative_to(self, other: "RemotePath") -> bool:
        return self.protocol == other.protocol and self.path.is_relative_to(other.path) and ".." not in self.path.parts

    def is_symlink(self) -> bool:
        return False

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """There are no folders, only names with slashes."""

    # -- reading --------------------------------------------------------------------------------------------------

    def stat(self) -> Status:
        """FileNotFoundError where there is no such file."""
        info = self._info()
        version = info.get("e_tag") or info.get("ETag") or info.get("mtime") or info.get("created")
        return Status(int(info["size"]), str(version))

    def exists(self) -> bool:
        return self._kind() is not None

    def is_file(self) -> bool:
        return self._kind() == "file"

    def is_dir(self) -> bool:
        return self._kind() == "directory"

    def iterdir(self) -> Iterator["RemotePath"]:
        with self._answers():
            names = self._fs.ls(self._key, detail=False, refresh=True)
        return iter(sorted({self / PurePosixPath(name.rstrip("/")).name for name in names} - {self}))

    def files(self) -> Iterator[PurePosixPath]:
        """Every file below, relative to here."""
        with self._answers():
            names = self._fs.find(self._key, refresh=True)
        return (PurePosixPath(name.lstrip("/")).relative_to(self.path) for name in names)

    def read_bytes(self) -> bytes:
        with self._answers():
            return self._fs.cat_file(self._key)

    def read_range(self, size: int, offset: int) -> bytes:
        """As `os.pread`."""
        with self._answers():
            return self._fs.cat_file(self._key, start=offset, end=offset + size)

    def open(self, mode: str = "r", **text: Any) -> IO[Any]:
        """Open for reading; blocks that were read stay in memory, some of them."""
        from fsspec.spec import AbstractBufferedFile

        file = AbstractBufferedFile(
            self._fs, self._key, "rb", block_size=_BLOCK, cache_type="blockcache",
            cache_options={"maxblocks": _BLOCKS_KEPT}, size=self.stat().st_size,
        )  # fmt: skip
        return file if "b" in mode else io.TextIOWrapper(file, **text)

    def download(self, to: Path) -> None:
        with self._answers():
            self._fs.get_file(self._key, str(to))

    # -- writing --------------------------------------------------------------------------------------------------

    def upload(self, file: Path) -> None:
        """Write a whole file; until all of it is there, what was there before is."""
        held.check(self)
        with self._answers():
            self._fs.put_file(str(file), self._key)

    def create(self, data: bytes) -> str:
        """Write a file that must not be there, and give its version; FileExistsError."""
        return self._put(data, "create")

    def replace(self, data: bytes, version: str) -> str:
        """Write a file that must have this version, and give its new one; FileExistsError where it has another."""
        return self._put(data, {"e_tag": version, "version": ""})

    def unlink(self, missing_ok: bool = False) -> None:
        held.check(self)
        with self._answers(), contextlib.suppress(*[FileNotFoundError] * missing_ok):
            self._fs.rm_file(self._key)

    def remove_all(self) -> None:
        """Remove a file, or every file below; nothing happens where there is none."""
        for name in [*self.files()]:
            (self / name).unlink(missing_ok=True)
        self.unlink(missing_ok=True)

    # -- the file system ------------------------------------------------------------------------------------------

    def _put(self, data: bytes, mode: str | dict[str, str]) -> str:
        held.check(self)
        with self._answers():
            return self._fs.pipe_file(self._key, data, mode=mode)["e_tag"]

    @property
    def _key(self) -> str:
        return str(self.path)

    @property
    def _fs(self) -> _FileSystem:
        return _filesystem(self.protocol)

    def _info(self) -> dict[str, Any]:
        with self._answers():
            return self._fs.info(self._key, refresh=True)

    def _kind(self) -> str | None:
        try:
            return str(self._info()["type"])
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def _answers(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, FileExistsError, NotInstalled):
            raise
        except Exception as error:  # each file system has errors of its own
            if _is_refusal(error):
                raise StorageUnavailable(
                    f"the storage refuses access to {self.name}; check the credentials, and what they allow"
                ) from error
            raise StorageUnavailable(f"the storage of {self.name} does not answer; try again later") from error


def _is_refusal(error: Exception) -> bool:
    # The error of a listing has no class of its own, and names the status.
    return type(error).__name__ in _REFUSALS or re.search(r"status code: 40[13]\b", str(error)) is not None


@functools.cache
def _filesystem(protocol: str) -> _FileSystem:
    try:
        import fsspec

        if protocol in _OBJECT_STORES:
            from indexer.store.buckets import BucketFileSystem

            http = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http:")
            buckets: _FileSystem = BucketFileSystem(  # type: ignore[call-overload]
                protocol, retry_config=RETRY, client_options=_TIMEOUTS | ({"allow_http": True} if http else {})
            )
            return buckets
        others: _FileSystem = fsspec.filesystem(protocol, skip_instance_cache=True, use_listings_cache=False)
        return others
    except ImportError as error:
        extra = protocol in _OBJECT_STORES or error.name == "fsspec"
        needs = "the extra: pip install 'unitscope[s3]'" if extra else f"a package that is not installed ({error})"
        raise NotInstalled(f"{protocol}:// needs {needs}") from error
    except ValueError as error:
        raise NotInstalled(
            f"no installed package knows {protocol}://; s3://, gs:// and az:// are known, and all that fsspec knows"
        ) from error
