"""Which files are looked at before the work starts."""

from collections.abc import Sequence

from indexer.images.listing import ImageFile


def sample(files: Sequence[ImageFile], most: int) -> Sequence[ImageFile]:
    """At most so many of the files, spread over all, the first among them."""
    return files[:: max(1, -(-len(files) // most))]
