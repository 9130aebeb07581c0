"""One layer of an open index: its derived arrays, mapped, and its FAISS index, loaded when first needed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import faiss
import numpy as np

from indexer.derive.distribution import DEFAULT_FRACTION, Distribution
from indexer.derive.layer import CLASS_ARRAYS, KIND, STATISTICS, VERSION
from indexer.derive.nearest.faiss_reader import WrongVectors
from indexer.derive.nearest.vectors import grid, read_vectors
from indexer.derive.nearest.vectors_file import check_vectors
from indexer.derive.scores.file import Scores
from indexer.derive.selectivity import Selectivity
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.index import hdf5
from indexer.index.configuration import LayerInfo
from indexer.query.deadline import check, checked, paused
from indexer.shards.format import LEAST_POSITIVE
from indexer.store.storage import Location, storage_at

_HISTOGRAM = ("codes", "ends", "cumulative")
_HIGHEST = ("highest/activations", "highest/rows")
_ARRAYS = ("peaks", "peak_cells", "order", "class_means", *(f"histogram/{name}" for name in _HISTOGRAM))


class Layer:
    """A layer and what is known about its neurons.

    Attributes
    ----------
    info : LayerInfo
        Name, shape, receptive field.
    peaks : ndarray (C, N) float32
        Highest activation of each neuron on each image.
    peak_cells : ndarray (C, N) uint32
        Where it stands, y * W + x.
    peaks_by_image : ndarray (N, C) float32
        The same peaks, those of one image side by side; in older files far apart.
    order : ndarray (C, N) uint32
        Images by descending peak, then by id.
    distribution : Distribution
    statistics : dict of str to ndarray (C,) float64
        See `indexer.derive.layer.STATISTICS`.
    selectivity : Selectivity
        What the neurons tell about the classes.
    classes : ndarray (N,) int32
        Class of each image, -1 for none.
    grid : ndarray (G,) int64
        Cells whose vectors FAISS knows, see `indexer.derive.nearest.vectors`.
    scores : Scores or None
        Those of its neurons, where they were worked out.
    """

    def __init__(
        self,
        index: Location,
        info: LayerInfo,
        file: str,
        vectors: str,
        lists: str | None,
        classes: np.ndarray,
        scores: Scores | None = None,
    ) -> None:
        self.info, self.classes, self.file, images = info, classes, file, len(classes)
        self.scores = scores
        arrays = hdf5.map_arrays(index / file, file, KIND, VERSION)
        wanted = {*_ARRAYS, *(f"statistics/{name}" for name in STATISTICS), *(f"classes/{n}" for n in CLASS_ARRAYS)}
        if not wanted <= arrays.keys():
            raise DamagedFile(file, f"lacks {', '.join(sorted(wanted - arrays.keys()))}")
        arrays.setdefault("peaks_by_image", arrays["peaks"].T)
        shapes = dict.fromkeys(("peaks", "peak_cells", "order"), (info.channels, images))
        for name, shape in (shapes | {"peaks_by_image": (images, info.channels)}).items():
            if arrays[name].shape != shape:
                raise DamagedFile(file, f"{name} has shape {arrays[name].shape}, not {shape}")
        self.peaks, self.peak_cells, self.order = arrays["peaks"], arrays["peak_cells"], arrays["order"]
        self.peaks_by_image = arrays["peaks_by_image"]
        self._highest = _highest(arrays, info, file)
        self.distribution = Distribution(images * info.cells, *(arrays[f"histogram/{name}"] for name in _HISTOGRAM))
        if self.distribution.channels != info.channels or not self.distribution.fits:
            raise DamagedFile(file, "counts other activations than it names")
        self.statistics = {name: arrays[f"statistics/{name}"] for name in STATISTICS}
        self.selectivity = Selectivity(
            means=arrays["class_means"], **{name: arrays[f"classes/{name}"] for name in CLASS_ARRAYS}
        )
        self.grid = grid(info.height, info.width)
        with self.reading():
            self._firing_from = np.asarray(self.distribution.firing_from(DEFAULT_FRACTION)) if images else np.empty(0)
        self._index, self._vectors_file, self._lists_file = index, vectors, lists
        self._vectors: faiss.Index | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def dead(self) -> np.ndarray:
        """Whether each neuron (C,) is positive on no image, as its activations are kept."""
        return self.statistics["maximum"] < LEAST_POSITIVE

    @cached_property
    def states(self) -> np.ndarray:
        """State (C,) of each neuron, see `indexer.derive.selectivity.STATES`."""
        return self.selectivity.states(self.dead)

    @cached_property
    def peak_lengths(self) -> np.ndarray:
        """Length (N,) float32 of each image's vector of peaks, negative ones as 0."""
        squares = np.zeros(self.peaks.shape[1], np.float32)
        for peaks in checked(self.peaks):
            squares += np.square(np.maximum(peaks, 0))
        return np.sqrt(squares)

    def scored(self) -> Scores:
        """The scores of the neurons.

        Raises
        ------
        NotFound
            None were worked out.
        """
        if self.scores is None:
            raise NotFound(
                f"layer {self.name} has no scores yet; python -m indexer scores INDEX --layer {self.name} --by DEEPER "
                "works them out in the vectors of another layer, or --encoder MODULE:FACTORY in those of an encoder"
            )
        return self.scores

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within it, arrays are indexed by numbers from the derived file; one that is out of range is damage.

        Raises
        ------
        DamagedFile
        TookTooLong
            The question's time is over. Most slow reads pass here, so it is looked at here.
        """
        check()
        try:
            yield
        except IndexError as error:
            raise DamagedFile(self.file, f"holds a number that is out of range ({error})") from error

    def place(self, cell: int) -> tuple[int, int]:
        """The y and x of a cell that the derived file names.

        Raises
        ------
        DamagedFile
        """
        if not 0 <= cell < self.info.cells:
            raise DamagedFile(self.file, f"names cell {cell} of {self.info.cells}")
        return divmod(cell, self.info.width)

    def check_neuron(self, neuron: int) -> int:
        """Refuse a neuron that the layer does not have.

        Raises
        ------
        NotFound
        """
        if not 0 <= neuron < self.info.channels:
            raise NotFound(f"layer {self.name} has the neurons 0 to {self.info.channels - 1}, not {neuron}")
        return neuron

    def check_cell(self, y: int, x: int) -> int:
        """The number y * W + x of a cell.

        Raises
        ------
        NotFound
        """
        if not (0 <= y < self.info.height and 0 <= x < self.info.width):
            raise NotFound(
                f"layer {self.name} has the cells 0,0 to {self.info.height - 1},{self.info.width - 1}, not {y},{x}"
            )
        return y * self.info.width + x

    def highest_at(self, neuron: int, cell: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The images on which a neuron is most active at one cell, by descending activation, then by row.

        Returns
        -------
        activations (D,) float64 and rows (D,) of the image table; None in files without them

        Raises
        ------
        DamagedFile
        """
        if self._highest is None:
            return None
        activations, rows = (array[neuron, cell] for array in self._highest)
        if (rows >= len(self.classes)).any():
            raise DamagedFile(self.file, f"names row {rows.max()} of {len(self.classes)}")
        return activations.astype(np.float64), rows

    def firing_from(self, fraction: float | None) -> np.ndarray:
        """Smallest activation (C,) float32 at which each neuron fires, for its own top ``fraction``."""
        if fraction is None:
            return self._firing_from
        with self.reading():
            return self.distribution.firing_from(fraction)

    def vectors(self) -> faiss.Index:
        """The FAISS index of the cells' unit vectors.

        Raises
        ------
        DamagedFile
        """
        with self._lock:
            if self._vectors is None:
                with paused():  # the first time, a remote file is copied
                    self._vectors = self._load_vectors()
            return self._vectors

    def _load_vectors(self) -> faiss.Index:
        vectors = self.peaks.shape[1] * len(self.grid)
        try:
            path = self._local(self._vectors_file)
            lists = self._local(self._lists_file) if self._lists_file else None
            check_vectors(path, lists, self.info.channels, vectors)
            return read_vectors(path, lists)
        except WrongVectors as error:
            raise DamagedFile(self._vectors_file, f"is not the FAISS index of this layer: it {error}") from error
        except (RuntimeError, FileNotFoundError) as error:
            raise DamagedFile(self._vectors_file, "is missing or cannot be read") from error

    def _local(self, file: str) -> Path:
        return storage_at(self._index / file).local_file(file)

    def histogram(self, neuron: int, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Edges (bins + 1,) float64 and counts (bins,) int64 of a neuron's activations, equal bins over their range."""
        if not 1 <= bins <= 1000:
            raise InvalidRequest(f"bins must be 1 to 1000, not {bins}")
        values, counts = self.distribution.of_neuron(self.check_neuron(neuron))
        low, high = (float(values[0]), float(values[-1])) if len(values) else (0.0, 0.0)
        heights, edges = np.histogram(
            values, bins, (low, high) if high > low else (low - 0.5, low + 0.5), weights=counts
        )
        return edges, heights.astype(np.int64)


def _highest(arrays: dict[str, np.ndarray], info: LayerInfo, file: str) -> tuple[np.ndarray, np.ndarray] | None:
    if not set(_HIGHEST) <= arrays.keys():
        return None
    activations, rows = (arrays[name] for name in _HIGHEST)
    if activations.shape != rows.shape or activations.shape[:2] != (info.channels, info.cells):
        raise DamagedFile(file, f"lists the highest images of {activations.shape} and {rows.shape} units")
    return activations, rows


def cell_of(y: int | None, x: int | None) -> tuple[int, int] | None:
    """A cell, or None where none was asked for.

    Raises
    ------
    InvalidRequest
        Only one of the two is given.
    """
    if y is None and x is None:
        return None
    if y is None or x is None:
        raise InvalidRequest("y and x name one cell: give both, or neither")
    return y, x
