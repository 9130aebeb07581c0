"""What if: neurons changed, and what the network would then answer on many images.

Before and after are computed by the same rest of the network from the same numbers, so that a what-if without edits
changes nothing. Silencing follows Morcos et al. 2018, "On the importance of single directions for generalization"; for
what a class loses by it, see Zhou et al. 2018, "Revisiting the importance of individual units in CNNs via ablation".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from indexer.errors import ImageUnavailable
from indexer.explain.atoms import rest_of_layer
from indexer.explain.edits import Edit, EditedMaps, check_edits
from indexer.explain.outputs import answering_outputs
from indexer.explain.rest import Rest
from indexer.explain.sources import Progress, Sources, Stop, never, silent, spread
from indexer.explain.whole_pass import MapChange
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.query.learning.answering.answers import Answers
from indexer.query.learning.answering.confusion import Confusion, confusion_of
from indexer.query.learning.answering.outputs import Outputs, own_outputs

SAMPLE: Final = 8
"""On how many images a what-if from kept maps is compared with one from the originals."""


@dataclass(frozen=True)
class Rounding:
    """How far outputs from kept maps, rounded to float16, are from those at full precision.

    Attributes
    ----------
    images : int
        On so many images the two were compared.
    largest : float
        The largest difference of one output on one image.
    answers : int
        Images that the two answer differently.
    """

    images: int
    largest: float
    answers: int


@dataclass(frozen=True)
class ClassChange:
    """A class that stands for an output; recalls are None for one without images."""

    class_: str
    images: int
    recall_before: float | None
    recall_after: float | None


@dataclass(frozen=True)
class Changed:
    """An image whose answer changed.

    Attributes
    ----------
    turned : str
        "wrong": its answer was its class before. "right": it is now. "other": it is neither.
    """

    image: int
    path: str
    class_: str | None
    before: int
    before_name: str
    after: int
    after_name: str
    turned: str


@dataclass(frozen=True)
class WhatIf:
    """What the network answers before and after edits; `as_dict` is ready for JSON.

    Attributes
    ----------
    layer, output : str
        The layer that was edited, and the one that holds the answers.
    way : str
        From where the network ran: "from kept maps of LAYER", or from the originals.
    exact : bool
        Whether outputs are those of the originals at full precision.
    class_ : str or None
        The class whose images alone were used.
    images, judged : int
        Images used, and those among them whose class stands for an output: accuracy and confusion are about these.
    matched : str
        How classes were matched with outputs.
    unmatched : list of str
        Classes that stand for no output.
    accuracy_before, accuracy_after : float or None
        None where no image is judged.
    classes : list of ClassChange
        Those that stand for an output, sorted; rows and columns of both matrices.
    confusion_before, confusion_after : list of list of int
        Row: class of the image; column: answer.
    elsewhere_before, elsewhere_after : list of int
        Images of each class answered with something that is not a class.
    changed : list of Changed
        By id.
    rounding_before : Rounding or None
        Unedited outputs from kept maps against those that the index keeps in float32, on all images; None if exact.
    rounding_after : Rounding or None
        Edited outputs from kept maps against edited ones from the originals, on a sample of `SAMPLE` images at equal
        distances; None if exact, or if the originals cannot be read.
    """

    layer: str
    output: str
    way: str
    exact: bool
    edits: list[Edit]
    class_: str | None
    images: int
    judged: int
    matched: str
    unmatched: list[str]
    accuracy_before: float | None
    accuracy_after: float | None
    classes: list[ClassChange]
    confusion_before: list[list[int]]
    confusion_after: list[list[int]]
    elsewhere_before: list[int]
    elsewhere_after: list[int]
    changed: list[Changed]
    rounding_before: Rounding | None
    rounding_after: Rounding | None

    def as_dict(self) -> dict[str, Any]:
        """Names, numbers and lists; classes are called ``class``."""
        data: dict[str, Any] = renamed(asdict(self))
        return data


def renamed(value: Any) -> Any:
    """Records for JSON, in which ``class_`` is ``class``."""
    if isinstance(value, dict):
        return {("class" if key == "class_" else key): renamed(each) for key, each in value.items()}
    return [renamed(each) for each in value] if isinstance(value, list) else value


def what_if(
    index: Index,
    network: Network,
    layer: str,
    edits: Sequence[Edit],
    *,
    class_: str | None = None,
    exact: bool = False,
    progress: Progress = silent,
    stop: Stop = never,
) -> WhatIf:
    """What the network would answer on the images of an index, if some neurons of a layer were changed.

    Parameters
    ----------
    index : Index
    network : Network
        The index's own, `Index.network`. No other thread may use a model when this begins, see `rest_behind`.
    layer : str
        If it is encoded, its atoms are edited: what the edits change of an atom is added to the maps that it is made
        of, or taken off.
    edits : sequence of Edit
    class_ : str, optional
        Only images of this class.
    exact : bool
        Run from the originals, at full precision, instead of from kept maps.
    progress : callable
        Told how many images are done, and of how many.
    stop : callable () -> bool
        Asked once a batch.

    Raises
    ------
    NotFound
        No such layer, neuron or class, or the network's output is not indexed.
    InvalidRequest
        An edit is wrong, or the network has one output only and so no answers.
    ImageUnavailable
        An original is needed and gone.
    Stopped, UserCodeFailed, BadActivations
    """
    edited = index.layer(layer)
    check_edits(edits, edited)
    outputs = answering_outputs(index)
    rows = np.arange(len(index.images)) if class_ is None else index.images.rows_of_class(class_)
    rest = rest_of_layer(network, layer, outputs.layer)
    sources = Sources(index, rest, kept=not exact)
    change = EditedMaps(edits, edited) if edits else None
    before, after = np.zeros((2, len(rows), len(outputs.names)), np.float32)
    for part, source in sources.batches(rows, stop):
        before[part] = rest.outputs(source)
        after[part] = before[part] if change is None else rest.outputs(source, change)
        progress(part.stop, len(rows))
    kept = sources.from_kept
    return _result(index, outputs, rows, before, after, {
        "layer": layer, "output": outputs.layer, "way": sources.way, "exact": not kept, "edits": list(edits),
        "class_": class_, "images": len(rows),
        "rounding_before": _of_unedited(index, outputs, rows, before) if kept else None,
        "rounding_after": _of_edited(index, rest, change, rows, after) if kept else None,
    })  # fmt: skip


def answers_given(index: Index, outputs: Outputs, rows: np.ndarray, values: np.ndarray) -> Answers:
    """The answers on the rows whose class stands for an output, for outputs (n, O) on all of these rows."""
    own = own_outputs(index, outputs)[rows]
    judged = own >= 0
    codes = np.asarray(index.images.class_code[rows[judged]])
    return Answers(outputs, rows[judged], codes, own[judged], values.argmax(axis=1)[judged])


def _result(
    index: Index, outputs: Outputs, rows: np.ndarray, before: np.ndarray, after: np.ndarray, known: dict[str, Any]
) -> WhatIf:
    first, second = (confusion_of(index.classes, answers_given(index, outputs, rows, v)) for v in (before, after))
    columns = (first.classes, first.images.tolist(), first.recalls, second.recalls)
    return WhatIf(
        **known,
        judged=int(first.images.sum()),
        matched=outputs.matched,
        unmatched=first.unmatched,
        accuracy_before=_accuracy(first),
        accuracy_after=_accuracy(second),
        classes=[ClassChange(*values) for values in zip(*columns, strict=True)],
        confusion_before=first.matrix.tolist(),
        confusion_after=second.matrix.tolist(),
        elsewhere_before=first.elsewhere.tolist(),
        elsewhere_after=second.elsewhere.tolist(),
        changed=_changed(index, outputs, rows, before.argmax(axis=1), after.argmax(axis=1)),
    )


def _accuracy(found: Confusion) -> float | None:
    return found.accuracy if found.images.sum() else None


def _changed(index: Index, outputs: Outputs, rows: np.ndarray, before: np.ndarray, after: np.ndarray) -> list[Changed]:
    own = own_outputs(index, outputs)[rows]
    found = []
    for number in np.flatnonzero(before != after).tolist():
        record = index.image(int(index.images.id[rows[number]]))
        old, new, right = int(before[number]), int(after[number]), int(own[number])
        turned = "wrong" if old == right else "right" if new == right else "other"
        names = outputs.names
        found.append(Changed(record.id, record.path, record.class_, old, names[old], new, names[new], turned))
    return found


def _of_unedited(index: Index, outputs: Outputs, rows: np.ndarray, values: np.ndarray) -> Rounding:
    """Against the outputs that the index keeps, which are float32."""
    return compared(values, np.asarray(index.layer(outputs.layer).peaks_by_image[rows]))


def _of_edited(
    index: Index, rest: Rest, change: MapChange | None, rows: np.ndarray, values: np.ndarray
) -> Rounding | None:
    if not len(rows):
        return None
    numbers = spread(np.arange(len(rows)), min(SAMPLE, rest.rows))
    try:
        source = Sources(index, rest, kept=False).of(rows[numbers].tolist())
    except ImageUnavailable:
        return None
    return compared(values[numbers], rest.outputs(source, change))


def compared(mine: np.ndarray, theirs: np.ndarray) -> Rounding:
    """Outputs (n, O) from kept maps against exact ones."""
    differ = int((mine.argmax(axis=1) != theirs.argmax(axis=1)).sum())
    return Rounding(len(mine), float(np.abs(mine - theirs).max(initial=0)), differ)
