"""The image files of an upload: the body itself, or the part ``image`` of a form; or several of these parts.

A question may be asked twice, of two generations (`service.indexes.catalog`), so everything here can be read again.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from flask import Request
from werkzeug.datastructures import FileStorage

from service.errors import ContractViolation, Fault
from service.inference.loader import ForwardResult
from service.questions import Question

PART: Final = "image"
FORM: Final = "multipart/form-data"


def uploaded_file(request: Request) -> bytes:
    """The file that a request carries; `service.http.contract` has checked its type and length already.

    Raises
    ------
    ContractViolation
        The form holds anything else than one part ``image``.
    """
    if request.mimetype != FORM:
        return request.get_data()
    parts = [*request.form.items(multi=True), *request.files.items(multi=True)]
    if [name for name, _ in parts] != [PART] or not request.files:
        raise ContractViolation([Fault("body", "", f"must be a form with one file, the part {PART!r}")])
    return _content(request.files[PART])


def uploaded_files(request: Request, *, single: bool) -> Iterator[bytes]:
    """The files of a form, each read when it is asked for; ``single`` refuses more than one.

    Raises
    ------
    ContractViolation
        The form holds anything else than parts ``image``.
    """
    parts = [*request.form.items(multi=True), *request.files.items(multi=True)]
    files = request.files.getlist(PART)
    if not files or len(files) != len(parts) or (single and len(files) > 1):
        amount = f"one file, the part {PART!r}, as there is a box" if single else f"files only, each a part {PART!r}"
        raise ContractViolation([Fault("body", "", f"must be a form with {amount}")])
    for file in files:
        yield _content(file)


def forward_upload(question: Question, layers: Sequence[str] | None) -> ForwardResult:
    """Send the file of a request through the network, up to the last of some layers or through all.

    Raises
    ------
    NotFound
        No such layer; raised before the network has worked for it.
    ContractViolation, ModelUnavailable, ImageRejected
    """
    for layer in layers or ():
        question.index.layer(layer)
    with question.services.passes.turn() as network:
        return network.forward(question.index.manifest.configuration, uploaded_file(question.request), layers)


def _content(file: FileStorage) -> bytes:
    file.seek(0)
    content: bytes = file.read()
    return content
