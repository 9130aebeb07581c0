"""The image of an upload: the body itself, or the part ``image`` of a form; or several of these parts."""

from collections.abc import Iterator
from typing import Final

from flask import Request
from PIL import Image

from indexer.images.reading import read_picture
from service.errors import ContractViolation, Fault

PART: Final = "image"
FORM: Final = "multipart/form-data"


def uploaded_bytes(request: Request) -> bytes:
    """The file that a request carries; `service.contract` has checked its type and length already.

    Raises
    ------
    ContractViolation
        The form holds anything else than one part ``image``.
    """
    if request.mimetype != FORM:
        return request.get_data(cache=False)
    parts = [*request.form.items(multi=True), *request.files.items(multi=True)]
    if [name for name, _ in parts] != [PART] or not request.files:
        raise ContractViolation([Fault("body", "", f"must be a form with one file, the part {PART!r}")])
    return request.files[PART].read()


def uploaded_picture(request: Request, max_pixels: int) -> Image.Image:
    """The picture that a request carries, upright, RGB.

    Raises
    ------
    ContractViolation
        The form is wrong.
    ImageRejected
        The file is no image that can be used.
    """
    return read_picture(uploaded_bytes(request), max_pixels)


def uploaded_pictures(request: Request, max_pixels: int, *, one: bool) -> Iterator[Image.Image]:
    """The pictures of a form, upright, RGB, each decoded when it is asked for; ``one`` refuses more than one.

    Raises
    ------
    ContractViolation
        The form holds anything else than parts ``image``.
    ImageRejected
        A file is no image that can be used.
    """
    parts = [*request.form.items(multi=True), *request.files.items(multi=True)]
    files = request.files.getlist(PART)
    if not files or len(files) != len(parts) or (one and len(files) > 1):
        amount = f"one file, the part {PART!r}, as there is a box" if one else f"files only, each a part {PART!r}"
        raise ContractViolation([Fault("body", "", f"must be a form with {amount}")])
    for file in files:
        yield read_picture(file.read(), max_pixels)
