"""What is asked of a network about one answer, and what it says, in numbers alone; neither needs torch.

They travel between processes as JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from indexer.defaults import WHY_NEURONS
from indexer.errors import InvalidRequest


@dataclass(frozen=True)
class Asked:
    """Which neurons of a layer pushed an output up or down.

    Attributes
    ----------
    layer, output : str
        The layer whose neurons are asked for, and the one that holds the network's outputs.
    for_ : int or None
        The output that is explained; None for the highest.
    against : int or None
        The output that is subtracted from it.
    limit : int
        At most so many neurons that push up, and as many that push down.
    """

    layer: str
    output: str
    for_: int | None = None
    against: int | None = None
    limit: int = WHY_NEURONS

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise InvalidRequest(f"limit must be at least 1, not {self.limit}")
        if self.for_ is not None and self.for_ == self.against:
            raise InvalidRequest(f"for and against are both the output {self.for_}, so there is no difference")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_group(class_: str | None, answered: str | None, images: Sequence[int] | None) -> None:
    """Refuse what does not name one group of images: those of a class, those answered so, both, or a list.

    Raises
    ------
    InvalidRequest
    """
    if images is not None and (class_, answered) != (None, None):
        raise InvalidRequest("give images, or a class and what it is answered as, not both")
    if images is None and (class_, answered) == (None, None):
        raise InvalidRequest("name the group: a class, what images are answered as, or a list of images")


@dataclass(frozen=True)
class Pushing:
    """A neuron that pushed the explained value up or down.

    Attributes
    ----------
    neuron : int
    contribution : float
        Gradient times activation, summed over its map: an estimate.
    effect : float
        The exact change of the value when the neuron alone is silenced: after less before.
    without : float
        The value then.
    answer_without : int
        The highest output then.
    activation : float
        The neuron's highest activation on the image.
    y, x : int
        The cell with the largest share of the contribution's sign, the first of equals.
    heat : list of list of float
        The contribution by blocks of cells, see `Said.block`: they add up to it.
    """

    neuron: int
    contribution: float
    effect: float
    without: float
    answer_without: int
    activation: float
    y: int
    x: int
    heat: list[list[float]]


@dataclass(frozen=True)
class Said:
    """What a network says of one image.

    Attributes
    ----------
    way : str
        From where its rest ran when neurons were silenced.
    for_ : int
        The output that is explained.
    answer : int
        The highest output.
    value : float
        The explained value: the output, or its difference to the one that it is against.
    total : float
        The sum of all neurons' contributions.
    neurons, pushing_up, pushing_down : int
        Neurons of the layer, and those whose contribution is above and below 0.
    up, down : list of Pushing
        The largest contributions above 0, and below it, the farthest from 0 first; equals by number.
    block : int
        Side of the square of cells that one number of a heat map stands for.
    """

    way: str
    for_: int
    answer: int
    value: float
    total: float
    neurons: int
    pushing_up: int
    pushing_down: int
    up: list[Pushing]
    down: list[Pushing]
    block: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        pushing = {name: [Pushing(**each) for each in data[name]] for name in ("up", "down")}
        return cls(**{**data, **pushing})
