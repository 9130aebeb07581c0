"""An open index: one generation, every question a method.

>>> index = indexer.open("INDEX")
>>> [patch.activation for patch in index.top_patches("features.12", neuron=17, limit=9).items]
"""

import numpy as np

from indexer.derive.distribution import DEFAULT_FRACTION
from indexer.errors import InvalidRequest
from indexer.query import top
from indexer.query.layer import Layer, cell_of
from indexer.query.nearest.search import Search
from indexer.query.paging import check_page, page_of
from indexer.query.records import Firing, ImageRecord, Page, Patch, PerImage
from indexer.shards.format import LEAST_POSITIVE, as_kept
from indexer.store.remote import parse_location
from indexer.store.storage import Location


def open(path: str | Location, images: str | Location | None = None) -> "Index":
    """Open the published generation of an index.

    Parameters
    ----------
    path : str or Path
        The index's folder, or its URL.
    images : str or Path, optional
        The image root, if it is not where it was when the index was built.

    Raises
    ------
    NotAnIndex, DamagedFile
    """
    return Index(parse_location(path), parse_location(images) if images is not None else None)


class Index(Search):
    """An open index: one generation, read-only; every question is a method. Safe to use from several threads."""

    # -- a neuron -------------------------------------------------------------------------------------------------

    def top_patches(
        self,
        layer: str,
        neuron: int,
        *,
        limit: int = 10,
        offset: int = 0,
        class_: str | None = None,
        per_image: PerImage = "one",
        iou: float | None = None,
        y: int | None = None,
        x: int | None = None,
        min: float | None = None,
    ) -> Page[Patch]:
        """Where a neuron is most active, by descending activation, then image, then cell in row order.

        Parameters
        ----------
        class_ : str, optional
            Only images of this class.
        per_image : {"one", "all"}
            The peak of each image, as float32; or every cell of every image, as kept in float16.
        iou : float, optional
            With "all": leave out a patch that overlaps a better one of its image by more than this.
        y, x : int, optional
            Only this cell (both or none): the *unit* of Girshick et al. 2014.
        min : float, optional
            Only activations of at least this.

        Raises
        ------
        NotFound, InvalidRequest
        """
        neurons = self.layer(layer)
        neurons.check_neuron(neuron)
        yx = cell_of(y, x)
        if iou is not None and (per_image == "one" or yx is not None):
            raise InvalidRequest("iou goes with per_image=all and without y and x: only then can patches overlap")
        cell = neurons.check_cell(*yx) if yx else None
        of_class = None if class_ is None else self.images.class_code == self.images.code_of(class_)
        wanted = top.Wanted(of_class, min, cell, iou)
        if per_image == "one" and cell is None:
            return self._peak_patches(neurons, neuron, wanted, limit, offset)
        return self._cell_patches(neurons, neuron, wanted, limit, offset)

    def _peak_patches(self, layer: Layer, neuron: int, wanted: top.Wanted, limit: int, offset: int) -> Page[Patch]:
        """The peak of each image: all are in the derived file, in order."""
        rows = top.peaks_of(layer, neuron, wanted.rows, wanted.minimum)
        shown = page_of(rows, limit, offset)
        with layer.reading():
            cells, activations = layer.peak_cells[neuron][shown], layer.peaks[neuron][shown]
        return Page(self._patches(layer, neuron, shown, cells, activations), len(rows), limit, offset)

    def peak_patches(self, layer: str, neuron: int, images: np.ndarray) -> list[Patch | None]:
        """Where a neuron is most active on each of some images (n,), by id; None for those that the index lacks.

        Raises
        ------
        NotFound
        """
        neurons = self.layer(layer)
        rows = [self.images.find_id(image) for image in images.tolist()]
        there = np.array([row for row in rows if row is not None], np.int64)
        with neurons.reading():
            cells = neurons.peak_cells[neurons.check_neuron(neuron)][there]
            found = iter(self._patches(neurons, neuron, there, cells, neurons.peaks[neuron][there]))
        return [None if row is None else next(found) for row in rows]

    def _cell_patches(self, layer: Layer, neuron: int, wanted: top.Wanted, limit: int, offset: int) -> Page[Patch]:
        """Cells of the maps, of which as many are read as may hold one of these."""
        check_page(limit, offset)
        count = limit + offset
        rows = top.peaks_of(layer, neuron, wanted.rows, None)
        hits = None if wanted.cell is None else top.listed(layer, neuron, wanted.cell, count, wanted)
        if hits is None:
            hits = top.all_cells(
                layer, neuron, rows, count, lambda row: self._read_map(layer, row, neuron), cell=wanted.cell,
                minimum=wanted.minimum, box_of=lambda row, cell: self._row_box(layer, row, cell), iou=wanted.iou,
            )  # fmt: skip
        total: int | None = len(rows) * (layer.info.cells if wanted.cell is None else 1)
        if wanted.iou is not None or wanted.minimum is not None:  # only the last of them tells how many there are
            total = len(hits) if len(hits) < count else None
        shown = hits[offset:]
        shown_rows = np.array([hit.row for hit in shown], np.int64)
        cells = np.array([hit.cell for hit in shown], np.int64)
        activations = np.array([hit.activation for hit in shown], np.float32)
        return Page(self._patches(layer, neuron, shown_rows, cells, activations), total, limit, offset)

    def _patches(
        self, layer: Layer, neuron: int, rows: np.ndarray, cells: np.ndarray, activations: np.ndarray
    ) -> list[Patch]:
        percentiles = layer.distribution.percentiles(np.full(len(rows), neuron, np.int64), activations)
        columns = (self._records(rows), cells.tolist(), activations.tolist(), percentiles.tolist())
        return [
            Patch(
                record, layer.name, neuron, *layer.place(cell), activation, percentile,
                self._box_of(record, layer, cell), self._effective_box_of(record, layer, cell),
            )
            for record, cell, activation, percentile in zip(*columns, strict=True)
        ]  # fmt: skip

    def neuron_statistics(self, layer: str) -> dict[str, np.ndarray]:
        """Statistics (C,) of every neuron, see `indexer.derive.layer.STATISTICS`, and ``dead`` (C,) bool."""
        neurons = self.layer(layer)
        return {**neurons.statistics, "dead": neurons.dead}

    def histogram(self, layer: str, neuron: int, bins: int = 40) -> tuple[np.ndarray, np.ndarray]:
        """Edges (bins + 1,) and counts (bins,) of a neuron's activations."""
        return self.layer(layer).histogram(neuron, bins)

    def top_classes(self, layer: str, neuron: int, depth: int = 100) -> list[tuple[str, float]]:
        """Classes of the images with the highest peaks, and their shares of these; largest first.

        At most ``depth`` images, and only those on which the neuron is positive: of the others none is above another.
        """
        neurons = self.layer(layer)
        rows = top.peaks_of(neurons, neurons.check_neuron(neuron), None, LEAST_POSITIVE)[:depth]
        with neurons.reading():
            codes = self.images.class_code[rows]
        names, counts = np.unique(codes[codes >= 0], return_counts=True)
        shares = [(self.classes[code], count / len(codes)) for code, count in zip(names, counts.tolist(), strict=True)]
        return sorted(shares, key=lambda pair: (-pair[1], pair[0]))

    def thresholds(self, layer: str, fraction: float = DEFAULT_FRACTION) -> np.ndarray:
        """The activation (C,) float32 at and above which the top ``fraction`` of each neuron's activations lie."""
        return self.layer(layer).distribution.thresholds(fraction)

    # -- an image -------------------------------------------------------------------------------------------------

    def neurons_firing(
        self, image: int, *, layer: str | None = None, fraction: float | None = None, limit: int = 50, offset: int = 0
    ) -> Page[Firing]:
        """Neurons that fire on an image, by descending percentile of their peak, then by layer and neuron.

        A neuron fires where its activation is positive and among its own top ``fraction``, by default 0.5 %.

        Raises
        ------
        NotFound, InvalidRequest
        """
        row = self._row(image)
        record = self._record(row)
        names = list(self.layers) if layer is None else [self.layer(layer).name]
        peaks = {name: (self.layers[name].peaks_by_image[row], self.layers[name].peak_cells[:, row]) for name in names}
        return self._firing(peaks, record, record.width, record.height, fraction, limit, offset)

    def neurons_firing_on(
        self,
        maps: dict[str, np.ndarray],
        width: int,
        height: int,
        *,
        fraction: float | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Page[Firing]:
        """As `neurons_firing`, for a picture of this size that is not in the index; ``maps`` are (C, H, W) by layer."""
        peaks = {}
        for name, layer_maps in maps.items():
            flat = layer_maps.reshape(len(layer_maps), -1)
            peaks[name] = (flat.max(axis=1), flat.argmax(axis=1))
        return self._firing(peaks, None, width, height, fraction, limit, offset)

    def neurons_firing_at(
        self,
        layer: str,
        values: np.ndarray,
        y: int,
        x: int,
        image: ImageRecord | None,
        size: tuple[int, int],
        *,
        fraction: float | None = None,
        limit: int = 50,
    ) -> Page[Firing]:
        """As `neurons_firing`, at one cell of a picture of this (width, height), with its ``values`` (C,)."""
        cells = np.full(len(values), self.layer(layer).check_cell(y, x))
        return self._firing({layer: (values, cells)}, image, *size, fraction, limit, 0)

    def _firing(
        self,
        peaks: dict[str, tuple[np.ndarray, np.ndarray]],
        image: ImageRecord | None,
        width: int,
        height: int,
        fraction: float | None,
        limit: int,
        offset: int,
    ) -> Page[Firing]:
        names = list(peaks)
        lowest = [self.layers[name].firing_from(fraction) for name in names]
        firing = [
            self._firing_in(self.layers[name], peaks[name][0], low) for name, low in zip(names, lowest, strict=True)
        ]
        layers = np.repeat(np.arange(len(names)), [len(neurons) for neurons, _ in firing])
        neurons, percentiles = (np.concatenate(parts) for parts in zip(*firing, strict=True))
        # Stable: ties stay in order of layers and neurons.
        shown = page_of(np.argsort(-percentiles, kind="stable"), limit, offset)
        items = []
        for number, neuron, percentile in zip(
            layers[shown].tolist(), neurons[shown].tolist(), percentiles[shown].tolist(), strict=True
        ):
            name = names[number]
            values, cells = peaks[name]
            y, x = self.layers[name].place(int(cells[neuron]))
            items.append(
                Firing(image, name, neuron, y, x, float(values[neuron]), percentile, float(lowest[number][neuron]),
                       self.box_in(width, height, name, y, x), self.effective_box_in(width, height, name, y, x))
            )  # fmt: skip
        return Page(items, len(percentiles), limit, offset)

    @staticmethod
    def _firing_in(layer: Layer, values: np.ndarray, lowest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The neurons (n,) whose ``values`` (C,) are not below ``lowest`` (C,), and the percentiles (n,) of these."""
        neurons = np.flatnonzero(as_kept(values) >= lowest)
        return neurons, layer.distribution.percentiles(neurons, values[neurons])
