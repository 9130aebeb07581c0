"""S3 and its like through fsspec, with the conditional writes that fsspec has names for."""

from typing import Any

from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.fsspec import FsspecStore


class BucketFileSystem(FsspecStore):
    """obstore's file system, which itself ignores fsspec's ``mode`` of a write."""

    cachable = False

    async def _pipe_file(self, path: str, value: bytes, mode: Any = "overwrite", **_: Any) -> Any:
        bucket, key = self._split_path(path)
        try:
            return await self._construct_store(bucket).put_async(key, value, mode=mode)
        except (AlreadyExistsError, PreconditionError) as error:
            raise FileExistsError(path) from error
