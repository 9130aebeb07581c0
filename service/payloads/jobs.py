"""Jobs and their results as JSON."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from indexer.query.index import Index
from service.http.etags import tag
from service.payloads.links import Links, index_url
from service.payloads.why import of_layer

Json = dict[str, Any]
OF_A_LAYER: Final = ("importance", "why")
"""Kinds that are asked for at the URL of a layer."""
OF_AN_IMAGE: Final = ("fool", "dream", "art")
"""Kinds that are asked for at the URL of an image."""
OF_AN_UPLOAD: Final = tuple(f"upload-{kind}" for kind in OF_AN_IMAGE)
"""The same for an image that is sent."""


def job_url(script_root: str, job: str) -> str:
    """The URL of a job."""
    return f"{quote(script_root)}/v1/jobs/{job}"


def times(record: Mapping[str, float | None]) -> Json:
    """Seconds since 1970 as dates of RFC 3339."""
    return {
        name: None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        for name, seconds in record.items()
    }


def links(script_root: str, job: str, kind: str, index: str, parameters: Json, *, has_result: bool) -> Json:
    """The URLs of a job; ``again`` is where the same may be asked for again."""
    own, base = job_url(script_root, job), index_url(script_root, index)
    if kind in OF_A_LAYER:
        again = f"{base}/layers/{quote(str(parameters['layer']), safe='')}/{kind}"
    elif kind in OF_AN_IMAGE:
        again = f"{base}/images/{parameters['image']}/{kind}"
    else:
        again = f"{base}/{kind}"
    return {
        "self": own,
        "index": base,
        "result": f"{own}/result" if has_result else None,
        "again": again,
    }


def what_if(links: Links, own: str, result: Json) -> Json:
    """The result of a what-if; the images whose answer changed are counted, and a list of their own."""
    turned = [one["turned"] for one in result["changed"]]
    counts = {way: turned.count(way) for way in ("wrong", "right", "other")}
    body = result | {"changed": {"total": len(turned), **counts}}
    return body | {"links": {"layer": links.layer(result["layer"]), "changed": f"{own}/changed"}}


def changed(links: Links, index: Index, one: Json) -> Json:
    """An image whose answer changed."""
    record = index.image(one["image"])
    urls = {"image": links.image(record), "picture": links.picture(record), "answer": links.answer(record)}
    return one | {"links": urls}


def optimal_url(script_root: str, index: str, layer: str, neuron: int) -> str:
    """The URL of a neuron's optimal input; that of the picture ends in ``.png``."""
    return f"{index_url(script_root, index)}/layers/{quote(layer, safe='')}/neurons/{neuron}/optimal"


def version_of(png: bytes) -> str:
    """Of a made picture: changes with any of its bytes."""
    return tag(png)


def versioned(url: str, png: bytes) -> str:
    """The URL of a made picture with its version."""
    return f"{url}?version={version_of(png)}"


def fooled(links: Links, index: Index, own: str, result: Json) -> Json:
    """A changed image, and the neurons that turned."""
    turning = [
        layer | {"strongest": _linked_neurons(links, layer["layer"], layer["strongest"])} for layer in result["turning"]
    ]
    return changed_image(links, index, own, result | {"turning": turning})


def changed_image(links: Links, index: Index, own: str, result: Json) -> Json:
    """An image before and after, and what is known of the change; an upload has no link of its own."""
    before, after = _pictures(own, result)[:2]
    body = {name: value for name, value in result.items() if name != "images"}
    return body | {"links": {"image": _image(links, index, result["image"]), "before": before, "after": after}}


def painted(links: Links, index: Index, own: str, result: Json) -> Json:
    """The same with the image whose style it got."""
    body = changed_image(links, index, own, result)
    style = {"style": _pictures(own, result)[2], "style_image": _image(links, index, result["style_image"])}
    return body | {"links": body["links"] | style}


def made(links: Links, own: str, result: Json) -> Json:
    """The images that a job has made, with links to their files."""
    layer = result["layer"]
    images = [
        {name: value for name, value in one.items() if name != "png"}
        | {"links": {"picture": picture, "neuron": links.neuron(layer, one["neuron"])}}
        for one, picture in zip(result["images"], _pictures(own, result), strict=True)
    ]
    return result | {"images": images, "links": {"layer": links.layer(layer)}}


def _pictures(own: str, result: Json) -> list[str]:
    """The URLs of all that a job has made."""
    return [
        versioned(f"{own}/images/{number}/picture.png", base64.b64decode(one["png"]))
        for number, one in enumerate(result["images"])
    ]


def _image(links: Links, index: Index, image: int | None) -> str | None:
    return None if image is None else links.image(index.image(image))


def importance(links: Links, result: Json) -> Json:
    """The importance of each neuron of a layer."""
    return _with_neurons(links, result, "neurons")


def why(links: Links, result: Json) -> Json:
    """The neurons that pushed an output on a group of images."""
    named = {
        name: one and one | {"links": {"neuron": links.neuron(result["output"], one["output"])}}
        for name, one in ((name, result[name]) for name in ("for", "against"))
    }
    return _with_neurons(links, result | named, "up", "down")


def upload_why(links: Links, result: Json) -> Json:
    """The neurons of each layer that pushed an output on an uploaded image."""
    size = {"width": result["width"], "height": result["height"]}
    return result | {"layers": [size | of_layer(links, said) for said in result["layers"]]}


def _with_neurons(links: Links, result: Json, *lists: str) -> Json:
    """The result with links of its neurons and of their layer."""
    layer = result["layer"]
    linked = {name: _linked_neurons(links, layer, result[name]) for name in lists}
    return result | linked | {"links": {"layer": links.layer(layer)}}


def _linked_neurons(links: Links, layer: str, neurons: list[Json]) -> list[Json]:
    return [
        one | {"links": {"self": links.neuron(layer, one["neuron"]), "patches": links.patches(layer, one["neuron"])}}
        for one in neurons
    ]
