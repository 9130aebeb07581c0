"""Jobs and their results as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from indexer.query.index import Index
from service.payloads.links import Links, index_url
from service.payloads.why import of_layer

Json = dict[str, Any]
OF_A_LAYER: Final = ("importance", "why")
"""Kinds that are asked for at the URL of a layer."""


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
    elif kind == "fool":
        again = f"{base}/images/{parameters['image']}/fool"
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


def fooled(links: Links, index: Index, own: str, result: Json) -> Json:
    """A changed image, and the neurons that turned."""
    turning = [
        layer | {"strongest": _linked_neurons(links, layer["layer"], layer["strongest"])} for layer in result["turning"]
    ]
    before, after = (f"{own}/images/{number}/picture.png" for number in range(2))
    body = {name: value for name, value in result.items() if name != "images"}
    record = index.image(result["image"])
    return body | {"turning": turning, "links": {"image": links.image(record), "before": before, "after": after}}


def made(links: Links, own: str, result: Json) -> Json:
    """The images that a job has made, with links to their files."""
    layer = result["layer"]
    images = [
        {name: value for name, value in one.items() if name != "png"}
        | {"links": {"picture": f"{own}/images/{number}/picture.png", "neuron": links.neuron(layer, one["neuron"])}}
        for number, one in enumerate(result["images"])
    ]
    return result | {"images": images, "links": {"layer": links.layer(layer)}}


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
