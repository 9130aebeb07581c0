"""The groups into which the top patches of a neuron fall.

>>> [len(group.patches) for group in groups(index, "features.12", 17)]
"""

from dataclasses import dataclass

from indexer.derive.scores.measures import GROUPS
from indexer.query.index import Index
from indexer.query.records import Patch


@dataclass(frozen=True)
class Group:
    """Some of a neuron's top patches, by descending activation.

    ``clarity`` is the mean cosine of two of them; None for fewer than two.
    """

    patches: list[Patch]
    clarity: float | None


def groups(index: Index, layer: str, neuron: int) -> list[Group]:
    """The groups of a neuron's top patches, that of the highest first; one where all are equal, none for dead neurons.

    Raises
    ------
    NotFound
        No such neuron, or no scores were worked out for the layer.
    """
    of_layer = index.layer(layer)
    of_layer.check_neuron(neuron)
    scores = of_layer.scored()
    numbers = scores.groups[neuron].tolist()
    patches = index.top_patches(layer, neuron, limit=len(numbers)).items
    found = []
    for group in range(GROUPS):
        members = [patch for patch, number in zip(patches, numbers, strict=False) if number == group]
        clarity = float(scores.group_clarity[neuron, group])
        if members:
            found.append(Group(members, clarity if len(members) > 1 else None))
    return found
