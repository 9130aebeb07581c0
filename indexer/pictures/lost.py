"""Lets a picture of many originals do without those that are gone or have changed: a placeholder stands for each.

::

    lost = LostOriginals()
    picture = lost.picture(index, image)    # None if the original cannot be shown
    lost.check()                            # an error if none of the originals could be shown
"""

from PIL import Image, ImageDraw

from indexer.errors import ImageRejected, ImageUnavailable
from indexer.query.index import Index
from indexer.query.records import ImageRecord

_NAMED = 3
_GROUND, _LINE = (208, 208, 208), (150, 60, 60)


class LostOriginals:
    """The originals that could not be shown in one picture, export or page."""

    def __init__(self) -> None:
        self.images: dict[int, ImageRecord] = {}
        self._first: Exception | None = None
        self._shown: set[int] = set()

    def __len__(self) -> int:
        return len(self.images)

    def picture(self, index: Index, image: ImageRecord) -> Image.Image | None:
        """The original of an image. If it is gone, has changed or cannot be decoded, the image is noted: None."""
        try:
            picture = index.picture(image)
        except (ImageUnavailable, ImageRejected) as error:
            self.images[image.id] = image
            self._first = self._first or error
            return None
        self._shown.add(image.id)
        return picture

    def check(self) -> None:
        """Refuse a picture in which placeholders stand for all originals.

        Raises
        ------
        ImageUnavailable, ImageRejected
            The error of the first original.
        """
        if self._first is not None and not self._shown:
            raise self._first

    def summary(self, index: str) -> str:
        """Say how many originals were lost, which, and what to do; empty if none was lost."""
        if not self.images:
            return ""
        paths = [image.path for image in self.images.values()]
        named = ", ".join(paths[:_NAMED]) + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")
        count = f"{len(paths)} of {len(paths) + len(self._shown)} originals {'are' if len(paths) > 1 else 'is'}"
        return (
            f"{count} gone or changed, a placeholder stands for each: {named}. 'remove {index} --path PATH' takes one "
            "out of the index; if they were moved, --images says where they are"
        )


def placeholder(width: int, height: int) -> Image.Image:
    """A grey, crossed-out picture that stands for one that cannot be shown."""
    picture = Image.new("RGB", (width, height), _GROUND)
    draw, thick = ImageDraw.Draw(picture), max(1, min(width, height) // 40)
    right, bottom = width - 1, height - 1
    draw.line((0, 0, right, bottom), _LINE, thick)
    draw.line((0, bottom, right, 0), _LINE, thick)
    draw.rectangle((0, 0, right, bottom), outline=_LINE, width=thick)
    return picture
