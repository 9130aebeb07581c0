"""Which neurons matter: what silencing each of a layer alone does to the network's answers.

Morcos et al. 2018, "On the importance of single directions for generalization"; Zhou et al. 2018, "Revisiting the
importance of individual units in CNNs via ablation".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from indexer.defaults import IMPORTANCE_IMAGES
from indexer.errors import InvalidRequest, NotFound
from indexer.explain.atoms import rest_of_layer
from indexer.explain.means import mean_and_error
from indexer.explain.outputs import answering_outputs
from indexer.explain.pushes import silencing
from indexer.explain.rest import Rest
from indexer.explain.sources import Progress, Sources, Stop, never, silent, spread
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.query.learning.answering.outputs import own_outputs


@dataclass(frozen=True)
class NeuronImportance:
    """What silencing one neuron changes.

    Attributes
    ----------
    accuracy, accuracy_error : float
        Change of the share of images answered with their class, after less before, and its standard error: that of
        the mean of the images' own changes.
    own_output, own_output_error : float
        Mean change of the output that the image's class stands for, and its standard error.
    changed : int
        Images whose answer changes.
    """

    neuron: int
    accuracy: float
    accuracy_error: float | None
    own_output: float
    own_output_error: float | None
    changed: int


@dataclass(frozen=True)
class Importance:
    """What silencing each neuron of a layer alone does; `as_dict` is ready for JSON.

    Attributes
    ----------
    way : str
        From where the network ran.
    images, of : int
        How many images were used, of how many whose class stands for an output: at equal distances in order of ids.
    image_ids : list of int
        Which.
    accuracy : float
        The share of these that is answered with their class when nothing is silenced.
    neurons : list of NeuronImportance
        The most important first: by change of accuracy, ascending, then by change of the own output, then by number.
    """

    layer: str
    output: str
    way: str
    images: int
    of: int
    image_ids: list[int]
    accuracy: float
    neurons: list[NeuronImportance]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def importance(
    index: Index,
    network: Network,
    layer: str,
    *,
    images: int = IMPORTANCE_IMAGES,
    neurons: Sequence[int] | None = None,
    progress: Progress = silent,
    stop: Stop = never,
) -> Importance:
    """Silence each neuron of a layer alone, over a sample of an index's images.

    It runs from kept maps where the rest of the network can; see `Importance.way`. A neuron that is 0 all over an image
    changes nothing there, and costs nothing.

    Parameters
    ----------
    images : int
        Use at most so many.
    neurons : sequence of int, optional
        Only these, by default all.
    progress : callable
        Told how many images are done, and of how many.
    stop : callable () -> bool
        Asked once a batch.

    Raises
    ------
    NotFound
        No such layer or neuron, the network's output is not indexed, or no image's class stands for an output.
    InvalidRequest
        ``images`` is not positive, a neuron is named twice, or the network has one output only.
    ImageUnavailable, Stopped, UserCodeFailed, BadActivations
    """
    asked = _checked(index, layer, images, neurons)
    outputs = answering_outputs(index)
    own = own_outputs(index, outputs)
    judged = np.flatnonzero(own >= 0)
    if not len(judged):
        raise NotFound(f"no image's class stands for an output of {outputs.layer}, so no answer is right or wrong")
    rows = spread(judged, images)
    rest = rest_of_layer(network, layer, outputs.layer)
    sources = Sources(index, rest, kept=True)
    answers, values = np.zeros((2, len(rows), len(asked) + 1))
    for number, row in enumerate(rows.tolist()):
        given = _silencing_each(rest, sources.of([row]), asked, stop)
        answers[number], values[number] = given.argmax(axis=1), given[:, own[row]]
        progress(number + 1, len(rows))
    right = answers == own[rows][:, None]
    found = [
        _of_neuron(neuron, right[:, [0, column]], values[:, [0, column]], answers[:, [0, column]])
        for column, neuron in enumerate(asked, 1)
    ]
    found.sort(key=lambda each: (each.accuracy, each.own_output, each.neuron))
    ids = [int(index.images.id[row]) for row in rows]
    return Importance(
        layer, outputs.layer, sources.way, len(rows), len(judged), ids, float(right[:, 0].mean()), found
    )  # fmt: skip


def _checked(index: Index, layer: str, images: int, neurons: Sequence[int] | None) -> list[int]:
    asked = list(range(index.layer(layer).info.channels)) if neurons is None else list(neurons)
    for neuron in asked:
        index.layer(layer).check_neuron(neuron)
    if len(set(asked)) < len(asked):
        raise InvalidRequest("a neuron is named twice")
    if images < 1:
        raise InvalidRequest(f"images must be at least 1, not {images}")
    return asked


def _silencing_each(rest: Rest, source: np.ndarray, neurons: Sequence[int], stop: Stop) -> np.ndarray:
    """Outputs (1 + n, O) of one image: as the network is, then with each of these neurons silenced."""
    active = rest.active(source, neurons)
    before, after = silencing(rest, source, [neurons[column] for column in active], stop)
    result = np.repeat(before[None], len(neurons) + 1, axis=0)
    result[1 + np.array(active, np.int64)] = after
    return result


def _of_neuron(neuron: int, right: np.ndarray, value: np.ndarray, answer: np.ndarray) -> NeuronImportance:
    """From columns before and after (n, 2)."""
    accuracy, accuracy_error = mean_and_error(right[:, 1].astype(np.float64) - right[:, 0])
    own, own_error = mean_and_error(value[:, 1] - value[:, 0])
    return NeuronImportance(
        neuron, accuracy, accuracy_error, own, own_error, int((answer[:, 0] != answer[:, 1]).sum())
    )  # fmt: skip
