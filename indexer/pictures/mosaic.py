"""A neuron's top patches edge to edge in one small picture. A wall of neurons is made of such pictures.

Unlike a contact sheet, the picture has no labels, outlines or margins, so that a page can add its own.
"""

from PIL import Image, ImageOps

from indexer.defaults import Field
from indexer.errors import InvalidRequest
from indexer.pictures.crop import crop
from indexer.pictures.framed import framed
from indexer.pictures.lost import LostOriginals, placeholder
from indexer.pictures.mask import Mask, unmasked
from indexer.pictures.sheet_layout import view_of
from indexer.query.index import Index
from indexer.query.records import Patch
from indexer.shards.format import LEAST_POSITIVE

MAX_TILES = 25
GROUND = (128, 128, 128)
"""The colour of a tile for which there is no further image on which the neuron is active."""


def mosaic(
    index: Index,
    layer: str,
    neuron: int,
    *,
    columns: int = 3,
    rows: int = 3,
    size: int = 64,
    class_: str | None = None,
    field: Field = "exact",
    mask: Mask = unmasked,
    lost: LostOriginals | None = None,
) -> Image.Image:
    """The patches of the images on which a neuron is most active, best first, in rows.

    Parameters
    ----------
    columns, rows : int
        Tiles in a row, and rows; 25 tiles at most.
    size : int
        Side of a tile in pixels. A tile shows a square around the patch, or the middle of the patch if the image is too
        narrow for such a square.
    class_ : str, optional
        Only images of this class.
    field : {"exact", "effective"}
        Show receptive fields, or effective ones, which are sampled.
    mask : Mask
        Darkens what does not matter of each patch; see `indexer.pictures.mask`.
    lost : LostOriginals, optional
        Notes the originals that a placeholder stands for.

    Returns
    -------
    PIL.Image.Image
        RGB, columns * size wide and rows * size high.

    Raises
    ------
    NotFound, InvalidRequest
    ImageUnavailable
        No original can be shown.
    """
    if columns * rows > MAX_TILES:
        raise InvalidRequest(f"columns times rows must be at most {MAX_TILES}, not {columns * rows}")
    best = index.top_patches(layer, neuron, limit=columns * rows, class_=class_, min=LEAST_POSITIVE).items
    patches = framed(index, layer, best, field)
    lost = LostOriginals() if lost is None else lost
    page = Image.new("RGB", (columns * size, rows * size), GROUND)
    for number, patch in enumerate(patches):
        picture = lost.picture(index, patch.image)
        tile = placeholder(size, size) if picture is None else _tile(picture, patch, size, mask)
        page.paste(tile, (number % columns * size, number // columns * size))
    lost.check()
    return page


def _tile(picture: Image.Image, patch: Patch, size: int, mask: Mask) -> Image.Image:
    region = view_of(patch.box, 0, picture.width, picture.height)
    shown = mask(patch, picture, crop(picture, region), region)
    return ImageOps.fit(shown, (size, size), Image.Resampling.BILINEAR)
