"""Pictures of many originals go on without those that are gone or have changed: a placeholder stands for each.

::

    lost = LostOriginals()
    picture = lost.picture(index, image)    # None where its original cannot be shown
    lost.check()                            # an error where none of them could
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
        """The original of an image; None, and noted, where it is gone, has changed or cannot be decoded."""
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
            What was wrong with the first of them.
        """
        if self._first is not None and not self._shown:
            raise self._first

    def summary(self, index: str) -> str:
        """What happened, how often, and what to do; empty where nothing was lost."""
        if not self.images:
            return ""
        paths = [image.path for image in self.images.values()]
        named = ", ".join(paths[:_NAMED]) + (f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else "")
        many = f"{len(paths)} of {len(paths) + len(self._shown)} originals are"
        return (
            f"{many if len(paths) > 1 else f'1 of {1 + len(self._shown)} originals is'} gone or changed, a placeholder "
            f"stands for each: {named}. 'remove {index} --path PATH' takes one out of the index; --images says where "
            "they are, if they were moved"
        )


def placeholder(width: int, height: int) -> Image.Image:
    """What stands for a picture that cannot be shown: grey, crossed out."""
    picture = Image.new("RGB", (width, height), _GROUND)
    draw, thick = ImageDraw.Draw(picture), max(1, min(width, height) // 40)
    right, bottom = width - 1, height - 1
    draw.line((0, 0, right, bottom), _LINE, thick)
    draw.line((0, bottom, right, 0), _LINE, thick)
    draw.rectangle((0, 0, right, bottom), outline=_LINE, width=thick)
    return picture
