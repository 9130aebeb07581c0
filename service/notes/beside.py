"""Names beside the numbers of neurons, in whatever is answered."""

from collections.abc import Mapping, Sequence
from typing import Any

from indexer.query.index import Index
from service.notes.about.subjects import layer_key
from service.notes.store import Known, Notes

OfLayers = Mapping[str, Mapping[int, str]]
"""Names by the layer's name in an index, and neuron."""


def known_names(notes: Notes, *indexes: Index) -> Known:
    """The names of the neurons of some indexes, as they are for one question."""
    return notes.known([index.manifest.configuration.weights_digest for index in indexes])


def names_in(known: Known, index: Index) -> OfLayers:
    """The names of an index's neurons, of what `known_names` gave."""
    configuration = index.manifest.configuration
    of_model = known.of_models.get(configuration.weights_digest)
    if not of_model:
        return {}
    by_layer = ((layer.name, of_model.get(layer_key(layer))) for layer in configuration.layers)
    return {name: names for name, names in by_layer if names}


def put_names(answer: Any, names: OfLayers, layer: str | None = None) -> None:
    """Give every object of an answer that has a neuron's number and links also the neuron's name, where it has one.

    Its layer is its own ``layer``, or that of the object around it.
    """
    if not names:
        return
    if isinstance(answer, list):
        for item in answer:
            put_names(item, names, layer)
    elif isinstance(answer, dict):
        own = answer.get("layer")
        layer = own if isinstance(own, str) else layer
        if layer is not None and "neuron" in answer and "links" in answer:
            name = names.get(layer, {}).get(answer["neuron"])
            if name is not None:
                answer["name"] = name
        for value in answer.values():
            if type(value) in (list, dict):
                put_names(value, names, layer)


def put_names_of_pairs(comparison: Any, names: Sequence[OfLayers]) -> None:
    """As `put_names`, in a comparison of a layer of one index, ``a``, with one of another, ``b``."""
    if not isinstance(comparison, dict) or "a" not in comparison or len(names) != 2:
        return
    own, other = (of_index.get(comparison[side]["layer"], {}) for side, of_index in zip("ab", names, strict=True))
    for item in comparison["items"]:
        for neuron, known in ((item, own), (item["match"], other)):
            if neuron is not None and neuron["neuron"] in known:
                neuron["name"] = known[neuron["neuron"]]
