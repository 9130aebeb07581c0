"""Why a network answers so on an image: the neurons of a layer that pushed an output up or down, with names.

1. ``asked = question(index, layer, for_="818", against="751")`` checks what is asked. It needs no network.
2. ``said = explain(network, asked, pixels)`` (`indexer.explain.pushes`), here or in another process, are the numbers.
3. ``explained(index, asked, said, width, height)`` gives them names and places in the image.

`why` does all three for an indexed image.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.defaults import WHY_NEURONS
from indexer.errors import InvalidRequest
from indexer.explain.asked import Asked, Pushing, Said
from indexer.explain.outputs import layer_of_outputs, output_named, output_names
from indexer.images.preprocessing import AxisPlacement
from indexer.query.index import Index
from indexer.receptive_field.centres import cell_centres

if TYPE_CHECKING:
    from indexer.network.forward import Network


@dataclass(frozen=True)
class NamedOutput:
    """An output and what it is called."""

    output: int
    name: str


def naming(names: Sequence[str]) -> Callable[[int | None], NamedOutput | None]:
    """Gives outputs their names; None has none."""
    return lambda output: None if output is None else NamedOutput(output, names[output])


@dataclass(frozen=True)
class Why:
    """Why an output has its value on an image; `as_dict` is ready for JSON.

    Attributes
    ----------
    layer, output : str
        The layer whose neurons are shown, and the one that holds the network's outputs.
    for_, answer : NamedOutput
        The output that is explained, and the highest.
    against : NamedOutput or None
        The output that is subtracted from it.
    said : Said
        The numbers.
    answers_without : list of str
        What the outputs are called that are the answer without a neuron: those of ``said.up``, then of ``said.down``.
    heat_y, heat_x : list of float
        Where the rows and columns of heat maps have their centres, in pixels of the original.
    """

    layer: str
    output: str
    for_: NamedOutput
    against: NamedOutput | None
    answer: NamedOutput
    said: Said
    answers_without: list[str]
    heat_y: list[float]
    heat_x: list[float]

    def as_dict(self) -> dict[str, Any]:
        """Names, numbers and lists."""
        said, names = self.said, iter(self.answers_without)
        return {
            "layer": self.layer,
            "output": self.output,
            "way": said.way,
            "for": asdict(self.for_),
            "against": None if self.against is None else asdict(self.against),
            "answer": asdict(self.answer),
            "value": said.value,
            "total": said.total,
            "neurons": said.neurons,
            "pushing_up": said.pushing_up,
            "pushing_down": said.pushing_down,
            "up": [_of_neuron(each, next(names)) for each in said.up],
            "down": [_of_neuron(each, next(names)) for each in said.down],
            "heat": {"block": said.block, "y": self.heat_y, "x": self.heat_x},
        }


def question(
    index: Index, layer: str, for_: str | None = None, against: str | None = None, limit: int = WHY_NEURONS
) -> Asked:
    """What is asked of a network, with outputs by number, class or name.

    Raises
    ------
    NotFound
        No such layer or output, or the network's outputs are not indexed.
    InvalidRequest
        A name is that of several outputs, both are the same output, or ``limit`` is not positive.
    """
    index.layer(layer)
    output = layer_of_outputs(index)
    if layer == output:
        raise InvalidRequest(f"layer {layer} holds the network's outputs themselves; name a layer before it")
    chosen, other = (None if text is None else output_named(index, text) for text in (for_, against))
    return Asked(layer, output, chosen, other, limit)


def explained(index: Index, asked: Asked, said: Said, width: int, height: int) -> Why:
    """What a network said of a picture of this width and height, with names."""
    names = output_names(index)
    info = index.layer(asked.layer).info
    placement = index.manifest.configuration.preprocessing.placement(width, height)
    return Why(
        asked.layer,
        asked.output,
        NamedOutput(said.for_, names[said.for_]),
        naming(names)(asked.against),
        NamedOutput(said.answer, names[said.answer]),
        said,
        [names[each.answer_without] for each in (*said.up, *said.down)],
        _centres(cell_centres(info.field.y, info.height, placement.y.cropped), placement.y, said.block),
        _centres(cell_centres(info.field.x, info.width, placement.x.cropped), placement.x, said.block),
    )


def why(
    index: Index,
    network: "Network",
    image: int,
    layer: str,
    *,
    for_: str | None = None,
    against: str | None = None,
    limit: int = WHY_NEURONS,
) -> Why:
    """Which neurons of a layer pushed an output up or down on an indexed image; it runs from the original.

    Parameters
    ----------
    index : Index
    network : Network
        The index's own, `Index.network`.
    image : int
    layer : str
    for_ : str, optional
        The output that is explained: its number, its class, or its name; by default the highest.
    against : str, optional
        The output that is subtracted from it.
    limit : int
        At most so many neurons that push up, and as many that push down.

    Raises
    ------
    NotFound, InvalidRequest, ImageUnavailable, UserCodeFailed, BadActivations
    """
    from indexer.explain.pushes import explain  # here, because a service's workers do not load torch

    asked = question(index, layer, for_, against, limit)
    return why_on(index, lambda pixels: explain(network, asked, pixels), asked, image)


def why_on(index: Index, explain: Callable[[np.ndarray], Said], asked: Asked, image: int) -> Why:
    """As `why`; ``explain`` has a network say something of pixels (h, w, 3) uint8, here or in another process.

    Raises
    ------
    NotFound, ImageUnavailable
    """
    record = index.image(image)
    pixels = index.manifest.configuration.preprocessing.pixels(index.picture(record))
    return explained(index, asked, explain(pixels), record.width, record.height)


def _centres(centres: np.ndarray, placement: AxisPlacement, block: int) -> list[float]:
    """Means of so many neighbouring centres in input pixels, as positions on the original."""
    starts = np.arange(0, len(centres), block)
    means = np.add.reduceat(centres, starts) / np.diff(np.append(starts, len(centres)))
    original = (means + placement.offset) * placement.original / placement.resized
    return [round(float(position), 2) for position in original]


def _of_neuron(pushing: Pushing, answer: str) -> dict[str, Any]:
    figures = asdict(pushing)
    output = figures.pop("answer_without")
    y, x, heat = figures.pop("y"), figures.pop("x"), figures.pop("heat")
    return {**figures, "answer_without": {"output": output, "name": answer}, "cell": {"y": y, "x": x}, "heat": heat}
