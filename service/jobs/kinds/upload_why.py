"""Why the network answers so on an uploaded image, in every layer before its outputs."""

from typing import Any

from indexer.errors import InvalidRequest
from indexer.images.reading import read_picture
from service.jobs.kinds.work import Work


def run_upload_why(work: Work) -> dict[str, Any]:
    """Parameters: ``for``, ``against`` and ``limit`` of `indexer.explain.why.question`.

    A layer from which no gradient comes back, such as another head, is listed in ``left_out``.
    """
    from indexer.explain.outputs import layer_of_outputs
    from indexer.explain.pushes import explain  # imports torch
    from indexer.explain.why import explained, question

    asked, index = work.parameters, work.index
    preprocessing = index.manifest.configuration.preprocessing
    picture = read_picture(work.upload(), work.max_pixels, preprocessing.value_range)
    pixels = preprocessing.pixels(picture)
    layers = [layer for layer in index.layers if layer != layer_of_outputs(index)]
    found: list[dict[str, Any]] = []
    left_out: list[dict[str, str]] = []
    with work.network() as network:
        for number, layer in enumerate(layers):
            work.progress(number, len(layers))
            about = question(index, layer, asked["for"], asked["against"], asked["limit"])
            try:
                said = explain(network, about, pixels)
            except InvalidRequest as error:
                left_out.append({"layer": layer, "detail": str(error)})
                continue
            found.append(explained(index, about, said, picture.width, picture.height).as_dict())
    return {"width": picture.width, "height": picture.height, "layers": found, "left_out": left_out}
