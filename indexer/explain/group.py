"""Why a network answers so on a group of images: a class, a class answered as another, or a list.

Contributions and effects are those of `indexer.explain.pushes`, as means over a sample of the group.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from indexer.defaults import GROUP_IMAGES, WHY_NEURONS
from indexer.errors import InvalidRequest, NotFound
from indexer.explain.asked import Asked, check_group
from indexer.explain.means import mean_and_error
from indexer.explain.outputs import layer_of_outputs, output_named, output_names
from indexer.explain.pushes import rest_of, shown_of, silencing, sums, value_in, value_of
from indexer.explain.rest import Rest
from indexer.explain.sources import Progress, Sources, Stop, never, silent, spread
from indexer.explain.why import NamedOutput, naming, question
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.query.learning.answering.answers import highest_outputs
from indexer.query.learning.answering.outputs import named_outputs


@dataclass(frozen=True)
class PushingGroup:
    """A neuron that pushed the explained value up or down, on the mean.

    Attributes
    ----------
    contribution, contribution_error : float
        Mean of gradient times activation over the images, and its standard error; None for one image.
    effect, effect_error : float
        The same of the exact change when the neuron alone is silenced.
    images : int
        Images on which its contribution has the sign of the mean.
    """

    neuron: int
    contribution: float
    contribution_error: float | None
    effect: float
    effect_error: float | None
    images: int


@dataclass(frozen=True)
class WhyGroup:
    """Which neurons pushed an output on a group of images; `as_dict` is ready for JSON.

    Attributes
    ----------
    for_ : NamedOutput or None
        The output that is explained; None where it is the highest of each image.
    images, of : int
        How many images were looked at, of how many in the group: at equal distances in order of ids.
    image_ids : list of int
        Which.
    value : float
        The mean of the explained value.
    up, down : list of PushingGroup
        The largest mean contributions above 0, and below it, the farthest from 0 first.
    """

    layer: str
    output: str
    way: str
    for_: NamedOutput | None
    against: NamedOutput | None
    images: int
    of: int
    image_ids: list[int]
    value: float
    neurons: int
    up: list[PushingGroup]
    down: list[PushingGroup]

    def as_dict(self) -> dict[str, Any]:
        return {("for" if name == "for_" else name): value for name, value in asdict(self).items()}


def why_group(
    index: Index,
    network: Network,
    layer: str,
    *,
    class_: str | None = None,
    answered: str | None = None,
    images: Sequence[int] | None = None,
    for_: str | None = None,
    against: str | None = None,
    limit: int = WHY_NEURONS,
    sample: int = GROUP_IMAGES,
    progress: Progress = silent,
    stop: Stop = never,
) -> WhyGroup:
    """Which neurons of a layer pushed an output up or down, on the mean over some images; it runs from the originals.

    Parameters
    ----------
    class_, answered : str, optional
        The images of this class, those answered so (by the number, class or name of an output), or those that are both.
    images : sequence of int, optional
        These images, by id, in place of the two.
    for_ : str, optional
        The output that is explained: its number, its class or its name. By default ``answered``; without it, the output
        that ``class_`` stands for; without both, the highest of each image.
    against : str, optional
        The output that is subtracted from it. By default, where both ``class_`` and ``answered`` are given and ``for_``
        is not, that of ``class_``, if they differ: then it is explained why one was taken for the other.
    limit : int
        At most so many neurons that push up, and as many that push down.
    sample : int
        Look at no more than so many images.

    Raises
    ------
    NotFound
        No such layer, class, output or image, or no image is in the group.
    InvalidRequest
    ImageUnavailable, Stopped, UserCodeFailed, BadActivations
    """
    if sample < 1:
        raise InvalidRequest(f"sample must be at least 1, not {sample}")
    rows = _rows(index, class_, answered, images)
    asked = _asked(index, layer, class_, answered, for_, against, limit)
    chosen = spread(rows, sample)
    rest = rest_of(network, asked)
    sources = Sources(index, rest, kept=False)
    outputs, contributions = _contributions(rest, sources, asked, chosen, stop)
    up, down = shown_of(contributions.mean(axis=0), asked.limit)
    targets = outputs.argmax(axis=1) if asked.for_ is None else np.full(len(outputs), asked.for_)
    effects = np.zeros((len(chosen), len(up) + len(down)))
    for number, row in enumerate(chosen.tolist()):
        before, after = silencing(rest, sources.of([row]), [*up, *down], stop)
        found = [value_in(each, int(targets[number]), asked.against) for each in (before, *after)]
        effects[number] = np.array(found[1:]) - found[0]
        progress(number + 1, len(chosen))
    pushing = [_of_neuron(neuron, contributions[:, neuron], effects[:, n]) for n, neuron in enumerate([*up, *down])]
    named = naming(output_names(index))
    values = [value_in(each, int(target), asked.against) for each, target in zip(outputs, targets, strict=True)]
    return WhyGroup(
        layer, asked.output, sources.way, named(asked.for_), named(asked.against), len(chosen), len(rows),
        [int(index.images.id[row]) for row in chosen], float(np.mean(values)), contributions.shape[1],
        pushing[: len(up)], pushing[len(up) :],
    )  # fmt: skip


def _rows(index: Index, class_: str | None, answered: str | None, images: Sequence[int] | None) -> np.ndarray:
    check_group(class_, answered, images)
    if images is not None:
        ids = sorted({index.image(image).id for image in images})
        rows = np.array([index.images.find_id(id) for id in ids], np.int64)
    elif answered is not None:
        highest = highest_outputs(index, layer_of_outputs(index), np.arange(len(index.images)))
        rows = np.flatnonzero(highest == output_named(index, answered))
        if class_ is not None:
            rows = rows[index.images.class_code[rows] == index.images.code_of(class_)]
    else:
        assert class_ is not None  # or there would be no group
        rows = index.images.rows_of_class(class_)
    if not len(rows):
        raise NotFound("no image is in this group")
    return rows


def _asked(
    index: Index,
    layer: str,
    class_: str | None,
    answered: str | None,
    for_: str | None,
    against: str | None,
    limit: int,
) -> Asked:
    own = None if class_ is None else _output_of(index, class_)
    if for_ is None and answered is not None:
        for_ = str(output_named(index, answered))
        if against is None and own is not None and str(own) != for_:
            against = str(own)
    elif for_ is None and own is not None:
        for_ = str(own)
    return question(index, layer, for_, against, limit)


def _output_of(index: Index, class_: str) -> int | None:
    """The output that a class stands for, if it stands for one."""
    if len(output_names(index)) == 1:
        return None
    output = int(named_outputs(index).output_of(len(index.classes))[index.images.code_of(class_)])
    return None if output < 0 else output


def _contributions(
    rest: Rest, sources: Sources, asked: Asked, rows: np.ndarray, stop: Stop
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (n, O) float32 and contributions (n, C) float64 of some rows."""
    found = [rest.contributions(source, value_of(asked)) for _, source in sources.batches(rows, stop)]
    return np.concatenate([each.outputs for each in found]), np.concatenate([sums(each) for each in found])


def _of_neuron(neuron: int, contributions: np.ndarray, effects: np.ndarray) -> PushingGroup:
    mean, error = mean_and_error(contributions)
    same = int((np.sign(contributions) == np.sign(mean)).sum())
    return PushingGroup(neuron, mean, error, *mean_and_error(effects), same)
