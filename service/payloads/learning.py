"""How neurons tell classes apart: answers of the library -> JSON of the contract, with links to the evidence."""

from typing import Any

from indexer.derive.selectivity import DEAD, DENSE, MIXED, SELECTIVE, UNKNOWN
from indexer.query.learning.answering.outputs import NeuronNames
from indexer.query.learning.classes import Coverage
from service.payloads.links import Links

Json = dict[str, Any]


def correlated(links: Links, names: NeuronNames, layer: str, number: int, correlation: float) -> Json:
    about = {"layer": layer, "neuron": number, "category": names.of(layer, number), "correlation": correlation}
    return {**about, "links": _neuron_links(links, layer, number)}


def coverage(links: Links, layer: str, result: Coverage) -> Json:
    return {
        "layer": layer,
        **result.as_dict(),
        "links": {
            "self": links.layer_class(layer, result.class_),
            "images": links.images(result.class_),
            "patches": links.patches(layer, _judge(result.own_neuron, result.best_neuron)),
        },
    }


def class_neuron(links: Links, names: NeuronNames, layer: str, number: int, **figures: float) -> Json:
    about = {"neuron": number, "category": names.of(layer, number), **figures}
    return {**about, "links": _neuron_links(links, layer, number)}


def like(links: Links, layer: str, class_: str, other: str, likeness: float) -> Json:
    own = {"class": links.layer_class(layer, other), "pair": links.pair(layer, class_, other)}
    return {"class": other, "likeness": likeness, "links": own}


def confusion(links: Links, result: Json) -> Json:
    """What the network answers, as `of_confusion` says it, with links to the images behind it."""
    confused = [{**row, "links": _confused_links(links, row)} for row in result["most_confused"]]
    return {**result, "most_confused": confused, "links": {"mistakes": links.mistakes(), "scores": links.scores()}}


def _confused_links(links: Links, row: Json) -> Json:
    return {"mistakes": links.mistakes(row["class"], row["answered"])}


def report(links: Links, result: Json) -> Json:
    """A report whose parts have links to their subjects."""
    about = result["confusion"]
    return {
        **result,
        "confusion": None if about is None else confusion(links, about),
        "layers": [_report_layer(links, layer) for layer in result["layers"]],
        "hints": [{**hint, "links": _hint_links(links, hint)} for hint in result["hints"]],
        "links": {"index": links.index},
    }


def _hint_links(links: Links, hint: Json) -> Json:
    own = _neuron_links(links, hint["layer"], hint["neuron"])
    return own if hint["class"] is None else {**own, "images": links.images(hint["class"])}


def _report_layer(links: Links, layer: Json) -> Json:
    name, about = layer["layer"], layer["classes"]
    states = {state: links.neurons(name, state) for state in (DEAD, DENSE, SELECTIVE, MIXED, UNKNOWN)}
    own = {"self": links.layer(name), "neurons": links.neurons(name), DEAD: states[DEAD]}
    if about is None:
        return {**layer, "links": own}
    least = [{**row, "links": _class_links(links, name, row)} for row in about["least_covered"]]
    alike = [{**row, "links": _pair_links(links, name, row)} for row in about["most_alike"]]
    return {
        **layer,
        "classes": {**about, "least_covered": least, "most_alike": alike},
        "links": {**own, **states, "classes": links.layer_classes(name)},
    }


def _class_links(links: Links, layer: str, row: Json) -> Json:
    return {
        "class": links.layer_class(layer, row["class"]),
        "images": links.images(row["class"]),
        "patches": links.patches(layer, _judge(row["own_neuron"], row["best_neuron"])),
    }


def _judge(own: int | None, best: int) -> int:
    """The neuron whose patches show how well a class is covered."""
    return best if own is None else own


def _pair_links(links: Links, layer: str, row: Json) -> Json:
    return {
        "a": links.layer_class(layer, row["a"]),
        "b": links.layer_class(layer, row["b"]),
        "pair": links.pair(layer, row["a"], row["b"]),
    }


def compared(links: tuple[Links, Links], layers: tuple[str, str], row: Json) -> Json:
    """One neuron of the first index beside the second."""
    own = {"a": links[0].patches(layers[0], row["neuron"])}
    if row["b"] is not None:
        own["b"] = links[1].patches(layers[1], row["neuron"])
    if row["match"] is not None:
        own["match"] = links[1].patches(layers[1], row["match"]["neuron"])
    return {**row, "links": own}


def _neuron_links(links: Links, layer: str, number: int) -> Json:
    return {"neuron": links.neuron(layer, number), "patches": links.patches(layer, number)}
