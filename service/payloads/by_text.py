"""Neurons that a text has found, as JSON."""

from typing import Any

from indexer.query.learning.answering.outputs import NeuronNames
from indexer.query.searching.by_text import FiresFor, Ranked
from service.payloads.links import Links

Json = dict[str, Any]


def firing_for(links: Links, names: NeuronNames, layer: str, text: str, found: Ranked) -> Json:
    """The neurons, by which encoder, and what the scores are to be seen beside."""
    return {
        "layer": layer,
        "text": text,
        "encoder": {"name": found.encoder.name, "digest": found.encoder.digest},
        "items": [_item(links, names, layer, item) for item in found.items],
        "total": found.total,
        "mean": found.mean,
        "deviation": found.deviation,
        "patches": found.patches,
        "wanted": found.wanted,
        "links": {"self": links.fires_for(layer), "layer": links.layer(layer)},
    }


def _item(links: Links, names: NeuronNames, layer: str, item: FiresFor) -> Json:
    return {
        "layer": layer,
        "neuron": item.neuron,
        "category": names.of(layer, item.neuron),
        "score": item.score,
        "auc": item.auc,
        "auc_at_least": item.auc_at_least,
        "patches": item.patches,
        "links": {
            "neuron": links.neuron(layer, item.neuron),
            "patches": links.patches(layer, item.neuron),
            "sheet": links.sheet(layer, item.neuron),
        },
    }
