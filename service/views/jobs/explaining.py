"""Jobs that explain the network: what if, importance, why."""

import hashlib

from flask import Response

from indexer.errors import NotFound
from indexer.explain.asked import check_group
from indexer.explain.edits import Edit, check_edits
from indexer.explain.outputs import answering_outputs, layer_of_outputs, output_named
from indexer.explain.why import question
from indexer.query.index import Index
from service.http.current import current_request
from service.questions import Json, Services
from service.uploads import uploaded_file
from service.views.jobs.served import submit


def start_what_if(
    services: Services, index: str, layer: str, edits: list[Json], class_: str | None, exact: bool
) -> Response:
    asked = [_edit(edit) for edit in edits]

    def check(held: Index) -> None:
        check_edits(asked, held.layer(layer))
        answering_outputs(held)
        if class_ is not None:
            held.images.rows_of_class(class_)

    in_order = sorted(asked, key=lambda edit: edit.neuron)  # whose order does not matter
    parameters = {"layer": layer, "edits": [edit.as_dict() for edit in in_order], "class": class_, "exact": exact}
    return submit(services, "what-if", index, parameters, check)


def start_importance(services: Services, index: str, layer: str, images: int, neurons: list[int] | None) -> Response:
    asked = None if neurons is None else sorted(int(neuron) for neuron in neurons)

    def check(held: Index) -> None:
        for neuron in asked or ():
            held.layer(layer).check_neuron(neuron)
        answering_outputs(held)

    return submit(services, "importance", index, {"layer": layer, "images": images, "neurons": asked}, check)


def start_why(
    services: Services,
    index: str,
    layer: str,
    class_: str | None,
    answered: str | None,
    images: list[int] | None,
    for_: str | None,
    against: str | None,
    limit: int,
    sample: int,
) -> Response:
    ids = None if images is None else sorted(int(image) for image in images)
    check_group(class_, answered, ids)

    def check(held: Index) -> None:
        question(held, layer, for_, against, limit)
        if class_ is not None:
            held.images.rows_of_class(class_)
        if answered is not None:
            output_named(held, answered)
        for image in ids or ():
            held.image(image)

    parameters = {
        "layer": layer, "class": class_, "answered": answered, "images": ids, "for": for_, "against": against,
        "limit": limit, "sample": sample,
    }  # fmt: skip
    return submit(services, "why", index, parameters, check)


def start_upload_why(services: Services, index: str, for_: str | None, against: str | None, limit: int) -> Response:
    data = uploaded_file(current_request())

    def check(held: Index) -> None:
        output = layer_of_outputs(held)
        before = next((layer for layer in held.layers if layer != output), None)
        if before is None:
            raise NotFound(f"the index has no layer but {output}, which holds the network's outputs themselves")
        question(held, before, for_, against, limit)

    digest = hashlib.sha256(data).hexdigest()
    parameters = {"sha256": digest, "for": for_, "against": against, "limit": limit}
    return submit(services, "upload-why", index, parameters, check, data)


def _edit(given: Json) -> Edit:
    value = given.get("value")
    return Edit(int(given["neuron"]), given.get("how", "silence"), None if value is None else float(value))
