"""The groups into which the top patches of a neuron fall.

>>> [len(group.patches) for group in groups(index, "features.12", 17)]
"""

from collections.abc import Sequence
from dataclasses import dataclass

from indexer.derive.scores.measures import GROUPS
from indexer.query.index import Index
from indexer.query.records import Patch


@dataclass(frozen=True)
class Group:
    """Some of a neuron's top patches, by descending activation.

    ``clarity`` is the mean cosine of two of them; None for fewer than two. By an encoder it is that of the group as it
    was when the scores were made, and patches of images that were removed since are left out.
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
    patches: Sequence[Patch | None]
    if scores.images is None:
        patches = index.top_patches(layer, neuron, limit=len(numbers)).items
    else:
        patches = index.peak_patches(layer, neuron, scores.images[neuron])
    found = []
    for group in range(GROUPS):
        members = [patch for patch, number in zip(patches, numbers, strict=False) if patch and number == group]
        clarity = float(scores.group_clarity[neuron, group])
        if members:
            found.append(Group(members, clarity if len(members) > 1 else None))
    return found
