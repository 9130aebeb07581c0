"""Why the network answers so: answers of the library -> JSON of the contract, with links to the evidence."""

from collections.abc import Callable
from typing import Any

from indexer.explain.why import Why
from indexer.query.records import ImageRecord
from service.payloads.links import Links

Json = dict[str, Any]


def on_image(links: Links, image: ImageRecord, result: Why) -> Json:
    """The neurons that pushed an output on an indexed image."""

    def own(neuron: int, y: int, x: int) -> Json:
        unit = links.unit(image, result.layer, y, x, neuron)
        return {**_neuron_links(links, result.layer, neuron), "patch": unit["patch"], "heatmap": unit["heatmap"]}

    return {
        "image": image.id,
        "path": image.path,
        "class": image.class_,
        "width": image.width,
        "height": image.height,
        **_said(links, result, own),
        "links": {
            "image": links.image(image), "file": links.file(image), "picture": links.picture(image),
            "answer": links.answer(image),
        },
    }  # fmt: skip


def on_upload(links: Links, width: int, height: int, result: Why) -> Json:
    """The neurons that pushed an output on an uploaded image of this width and height."""
    own = lambda neuron, y, x: _neuron_links(links, result.layer, neuron)  # noqa: E731
    return {"width": width, "height": height, **_said(links, result, own)}


def of_layer(links: Links, said: Json) -> Json:
    """As `on_upload`, of what `Why.as_dict` gave."""
    return _linked(links, said, lambda neuron, y, x: _neuron_links(links, said["layer"], neuron))


def _said(links: Links, result: Why, own: Callable[[int, int, int], Json]) -> Json:
    return _linked(links, result.as_dict(), own)


def _linked(links: Links, said: Json, own: Callable[[int, int, int], Json]) -> Json:
    said = dict(said)
    outputs = said["output"]
    for name in ("for", "against", "answer"):
        said[name] = said[name] and _output(links, outputs, said[name])
    for side in ("up", "down"):
        said[side] = [
            {
                **each,
                "answer_without": _output(links, outputs, each["answer_without"]),
                "links": own(each["neuron"], each["cell"]["y"], each["cell"]["x"]),
            }
            for each in said[side]
        ]
    return said


def _output(links: Links, layer: str, output: Json) -> Json:
    return {**output, "links": {"neuron": links.neuron(layer, output["output"])}}


def _neuron_links(links: Links, layer: str, neuron: int) -> Json:
    return {"neuron": links.neuron(layer, neuron), "patches": links.patches(layer, neuron)}
