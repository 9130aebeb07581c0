"""Which neurons know this? What some images, or a part of one, have that the rest has not.

- Images (indexed ones, a class, uploaded ones): ``auc`` is the area under the ROC curve of a neuron's peaks, these
  images against all others of the index, or those that `contrast.Against` names: the chance that one of
  these has the higher peak, ties counted half. It is exact. Neurons are listed by it, descending.
- A box on one image: cells whose receptive field has its centre in the box, against the image's other cells. Neurons
  are listed by ``difference``, descending: by AUC alone, one that is barely active, but nowhere outside, would come
  before one that is far more active inside than it ever is.

``difference`` is the mean inside less the mean outside, in units of a standard deviation of the neuron: that of all
peaks compared, or, for a box, that of all its activations in the index. It is 0 where the neuron is constant. Equals
are listed by the other of the two, then by number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.paging import page_of
from indexer.query.records import Page
from indexer.query.searching.contrast import EVERYTHING_ELSE, Against, rest_of
from indexer.receptive_field.centres import cell_centres


@dataclass(frozen=True, slots=True)
class Selective:
    """A neuron and how it tells inside from outside; see the module's description."""

    layer: str
    neuron: int
    auc: float
    difference: float
    mean_inside: float
    mean_outside: float


@dataclass(frozen=True, slots=True)
class Concept:
    """Neurons that tell some images, or cells, from the others.

    Attributes
    ----------
    compared : str
        What was compared: "images" or "cells".
    inside, outside : int
        How many of these there are.
    left_out : int
        Images that were left out of ``outside``, because they are too like those inside.
    neurons : Page of Selective
    """

    compared: Literal["images", "cells"]
    inside: int
    outside: int
    neurons: Page[Selective]
    left_out: int = 0


def of_images(
    index: Index, layer: str, images: Sequence[int], against: Against = EVERYTHING_ELSE, *, limit: int = 20,
    offset: int = 0,
) -> Concept:  # fmt: skip
    """The neurons most selective for indexed images, given by id; one that is named twice counts once.

    Raises
    ------
    NotFound, InvalidRequest
    """
    neurons = index.layer(layer)
    inside = np.zeros(len(index.images), bool)
    inside[[_row(index, image) for image in images]] = True
    return _of_rows(index, neurons, inside, against, limit, offset)


def of_class(
    index: Index, layer: str, class_: str, against: Against = EVERYTHING_ELSE, *, limit: int = 20, offset: int = 0
) -> Concept:
    """The neurons most selective for the images of a class.

    Raises
    ------
    NotFound, InvalidRequest
    """
    neurons = index.layer(layer)
    inside = np.asarray(index.images.class_code == index.images.code_of(class_))
    return _of_rows(index, neurons, inside, against, limit, offset)


def of_peaks(
    index: Index, layer: str, peaks: np.ndarray, against: Against = EVERYTHING_ELSE, *, limit: int = 20,
    offset: int = 0,
) -> Concept:  # fmt: skip
    """The neurons most selective for images that are not in the index, against all that are.

    Parameters
    ----------
    peaks : ndarray (k, C) float32
        Each image's highest activation of each neuron.

    Raises
    ------
    NotFound, InvalidRequest
    """
    return _compared(index, index.layer(layer), np.zeros(len(index.images), bool), peaks, against, limit, offset)


def in_box(index: Index, layer: str, image: int, box: Box, *, limit: int = 20, offset: int = 0) -> Concept:
    """The neurons more active inside a box, in pixels of the original, of an indexed image than outside it.

    Raises
    ------
    NotFound, InvalidRequest
    """
    record = index.image(image)
    maps = index.activation_maps(image, layer)
    return in_maps(index, layer, maps, record.width, record.height, box, limit=limit, offset=offset)


def in_maps(
    index: Index, layer: str, maps: np.ndarray, width: int, height: int, box: Box, *, limit: int = 20, offset: int = 0
) -> Concept:
    """As `in_box`, for the maps (C, H, W) of any picture of this width and height.

    Raises
    ------
    NotFound, InvalidRequest
    """
    neurons = index.layer(layer)
    inside = cells_in_box(index, neurons, width, height, box).ravel()
    if not inside.any() or inside.all():
        which = "no" if not inside.any() else "every"
        raise InvalidRequest(
            f"{which} cell of layer {layer} ({neurons.info.height} x {neurons.info.width} cells) has the centre of its "
            f"receptive field in the box on this image of {width} x {height} pixels, so there is nothing to compare; "
            "choose another box, or a layer with more cells"
        )
    flat = maps.reshape(len(maps), -1)
    others = flat[:, ~inside]
    return _listed(
        neurons,
        "cells",
        flat[:, inside],
        lambda neuron: np.sort(others[neuron]),
        neurons.statistics["std"],
        limit,
        offset,
    )


def compared_cells(layer: Layer, inside: np.ndarray, outside: np.ndarray) -> list[Selective]:
    """All neurons of a layer by how vectors of cells (C, k) differ from others (C, n): see the module's description."""
    ascending = np.sort(outside, axis=1)
    everything = _listed(
        layer, "cells", inside, ascending.__getitem__, layer.statistics["std"], limit=len(inside), offset=0
    )
    return list(everything.neurons.items)


def cells_in_box(index: Index, layer: Layer, width: int, height: int, box: Box) -> np.ndarray:
    """Which cells (H, W) bool have the centre of their receptive field in a box of a picture of this size.

    The centre is that of the field before it is clipped to the input.
    """
    placement = index.manifest.configuration.preprocessing.placement(width, height)
    info = layer.info
    y = cell_centres(info.field.y, info.height, placement.y.cropped)
    x = cell_centres(info.field.x, info.width, placement.x.cropped)
    rows = (y >= placement.y.to_input(box.top)) & (y < placement.y.to_input(box.bottom))
    columns = (x >= placement.x.to_input(box.left)) & (x < placement.x.to_input(box.right))
    return rows[:, None] & columns


def auc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The chance that a value of ``inside`` (k,) is above one of ``outside`` (n,), which is sorted; ties half."""
    below = np.searchsorted(outside, inside, "left")
    not_above = np.searchsorted(outside, inside, "right")
    return float((below + not_above).sum()) / (2 * len(inside) * len(outside))


def _row(index: Index, image: int) -> int:
    index.image(image)
    row = index.images.find_id(image)
    assert row is not None
    return row


def _of_rows(index: Index, layer: Layer, inside: np.ndarray, against: Against, limit: int, offset: int) -> Concept:
    if not inside.any() or inside.all():
        which = "none" if not inside.any() else "all"
        raise InvalidRequest(f"{which} of the {len(inside)} images of the index are named, so there is no comparison")
    return _compared(index, layer, inside, np.asarray(layer.peaks_by_image[inside]), against, limit, offset)


def _compared(
    index: Index, layer: Layer, inside: np.ndarray, peaks: np.ndarray, against: Against, limit: int, offset: int
) -> Concept:
    """Examples with these peaks (k, C), those of some rows (N,) bool or of others, against the rest."""
    rest, left_out = rest_of(index, layer, against, inside, peaks)
    found = _listed(layer, "images", peaks.T, lambda neuron: _rows_of(layer, neuron, rest), None, limit, offset)
    return replace(found, left_out=left_out)


def _rows_of(layer: Layer, neuron: int, chosen: np.ndarray) -> np.ndarray:
    """Peaks of a neuron on the chosen rows, ascending."""
    order = layer.order[neuron]
    with layer.reading():
        ascending: np.ndarray = layer.peaks[neuron][order[chosen[order]]][::-1]
        return ascending


def _listed(
    layer: Layer,
    compared: Literal["images", "cells"],
    inside: np.ndarray,
    outside_of: Callable[[int], np.ndarray],
    std: np.ndarray | None,
    limit: int,
    offset: int,
) -> Concept:
    """Compare every neuron: ``inside`` (C, k), and sorted values outside; ``std`` (C,) or None for that of both."""
    count = layer.info.channels
    areas, differences, means = np.zeros(count), np.zeros(count), np.zeros((2, count))
    outside = np.zeros(0)
    for neuron in checked(range(count)):
        outside = outside_of(neuron)
        if not len(outside):
            raise InvalidRequest("the index holds no images to compare with")
        values = inside[neuron].astype(np.float64)
        areas[neuron] = auc(inside[neuron], outside)
        means[:, neuron] = values.mean(), outside.mean(dtype=np.float64)
        spread = np.concatenate([values, outside]).std() if std is None else std[neuron]
        if spread > 0:
            differences[neuron] = (means[0, neuron] - means[1, neuron]) / spread
    keys = (areas, differences) if compared == "images" else (differences, areas)
    ranked = np.lexsort((-keys[1], -keys[0]))
    items = [
        Selective(layer.name, n, areas[n].item(), differences[n].item(), means[0, n].item(), means[1, n].item())
        for n in page_of(ranked, limit, offset).tolist()
    ]
    return Concept(compared, inside.shape[1], len(outside), Page(items, count, limit, offset))
