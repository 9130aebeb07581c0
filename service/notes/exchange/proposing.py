"""Names that are proposed: through counterparts in an earlier checkpoint, and by machine. Nothing is written here.

A name belongs to the weights, so that another checkpoint begins without any. A neuron of it is proposed the name of the
neuron that goes together with it best, among *all* neurons of the other layer; where that one has no name, nothing is
proposed.
"""

from dataclasses import dataclass, replace
from typing import Final

from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.learning.counterparts import counterparts
from service.notes.about.subjects import layer_key
from service.notes.beside import OfLayers, known_names, names_in
from service.notes.exchange.suggestions import Suggestion, suggested
from service.notes.store import Notes

LEAST: Final = 0.5
"""The lowest correlation with which a name is proposed, if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A name that a neuron could have.

    Attributes
    ----------
    layer, neuron : str, int
        Which has no name yet.
    name : str
    other : str
        The index with the name.
    counterpart : int
        The neuron that has it there, in the layer of the same name.
    correlation : float
        Pearson's, of the peaks of both on the images that both indexes have.
    mutual : bool
        Whether the neuron is also the one that goes together with its counterpart best.
    images : int
    """

    layer: str
    neuron: int
    name: str
    other: str
    counterpart: int
    correlation: float
    mutual: bool
    images: int


def proposals(
    notes: Notes, index: Index, other: Index, *, layer: str | None = None, neuron: int | None = None,
    least: float = LEAST,
) -> list[Proposal]:  # fmt: skip
    """Names of another index's neurons for those of an index that have none; the highest correlation first.

    Parameters
    ----------
    layer : str, optional
        Only of this layer. By default of every layer whose name both have.
    neuron : int, optional
        Only for this one.
    least : float
        The lowest correlation.

    Raises
    ------
    InvalidRequest
        Both have the same weights, and so the same names; or hardly an image in common; or only a neuron is given.
    NotFound
    NotesUnavailable
    """
    if same_weights(index, other):
        raise InvalidRequest(f"{index.name} and {other.name} have the same weights, so they share all names")
    check_wanted(index, layer, neuron)
    known = known_names(notes, index, other)
    _, refused = suggested(notes, index.manifest.configuration.weights_digest)
    there, here = names_in(known, other), names_in(known, index)
    layers = [name for name in there if name in index.layers and name in other.layers and layer in (None, name)]
    found = [proposal for name in layers for proposal in _of_layer(index, other, name, there, here, least)]
    wanted = [
        proposal
        for proposal in found
        if neuron in (None, proposal.neuron)
        and (layer_key(index.layer(proposal.layer).info), proposal.neuron, proposal.name) not in refused
    ]
    return sorted(wanted, key=lambda proposal: (-proposal.correlation, proposal.layer, proposal.neuron))


def by_machine(notes: Notes, index: Index, *, layer: str | None = None, neuron: int | None = None) -> list[Suggestion]:
    """What ``describe`` has proposed to neurons of an index that have no name, by layer, neuron and rank.

    The layers are named as the index names them. What a person has refused is left out.
    """
    check_wanted(index, layer, neuron)
    suggestions, _ = suggested(notes, index.manifest.configuration.weights_digest)
    here = names_in(known_names(notes, index), index)
    called = {layer_key(each): each for each in index.manifest.configuration.layers}
    return [
        replace(one, layer=called[one.layer].name)
        for one in suggestions
        if one.layer in called
        and one.neuron < called[one.layer].channels
        and layer in (None, called[one.layer].name)
        and neuron in (None, one.neuron)
        and one.neuron not in here.get(called[one.layer].name, {})
    ]


def check_wanted(index: Index, layer: str | None, neuron: int | None) -> None:
    """Refuse a layer or a neuron that an index has not.

    Raises
    ------
    NotFound, InvalidRequest
    """
    if layer is not None:
        known = index.layer(layer)
        if neuron is not None:
            known.check_neuron(neuron)
    elif neuron is not None:
        raise InvalidRequest("name the layer of the neuron, too")


def same_weights(index: Index, other: Index) -> bool:
    """Whether the neurons of two indexes share their names."""
    return index.manifest.configuration.weights_digest == other.manifest.configuration.weights_digest


def _of_layer(index: Index, other: Index, layer: str, there: OfLayers, here: OfLayers, least: float) -> list[Proposal]:
    found = counterparts(index, layer, other)
    names, taken = there[layer], here.get(layer, {})
    return [
        Proposal(
            layer, neuron, names[match], other.name, match, float(found.correlation[neuron]),
            bool(found.mutual[neuron]), found.images,
        )
        for neuron, match in enumerate(found.match.tolist())
        if match in names and neuron not in taken and found.correlation[neuron] >= least
    ]  # fmt: skip
