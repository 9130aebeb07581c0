"""The image of an upload: the body itself, or the part ``image`` of a form."""

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
