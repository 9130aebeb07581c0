"""Questions about likeness: which cells and images have vectors near a given one, or lie far along a direction."""

import numpy as np

from indexer.errors import InvalidRequest
from indexer.query.generation import Generation
from indexer.query.layer import Layer
from indexer.query.nearest import similarity
from indexer.query.nearest.proposals import SearchPlan
from indexer.query.paging import check_limit, check_page
from indexer.query.records import Page, PerImage, SimilarImage, SimilarPatch


class Search(Generation):
    """An open generation that finds what is like something. `indexer.query.index.Index` adds the other questions."""

    def similar(
        self,
        layer: str,
        image: int,
        y: int,
        x: int,
        *,
        limit: int = 10,
        offset: int = 0,
        exact: bool = False,
        per_image: PerImage = "one",
    ) -> Page[SimilarPatch]:
        """The cells whose activation vectors are nearest to that of a cell of an indexed image, itself included."""
        searched, row = self.layer(layer), self._row(image)
        cell = searched.check_cell(y, x)
        vector = self._read_maps(searched, row).reshape(searched.info.channels, -1)[:, cell].astype(np.float32)
        return self._nearest(searched, vector, limit, offset, exact, per_image, row)

    def nearest(
        self,
        layer: str,
        vector: np.ndarray,
        *,
        limit: int = 10,
        offset: int = 0,
        exact: bool = False,
        per_image: PerImage = "one",
    ) -> Page[SimilarPatch]:
        """The cells whose activation vectors have the highest cosine with a vector (C,).

        Parameters
        ----------
        exact : bool
            Leave out no cell that might be nearer, instead of trusting what FAISS proposes. Where FAISS knows the
            rounded vectors of all cells, that costs little more; else every map is read.
        per_image : {"one", "all"}
            The nearest cell of each image, or every cell.
        """
        return self._nearest(self.layer(layer), vector, limit, offset, exact, per_image, None)

    def _nearest(
        self,
        layer: Layer,
        vector: np.ndarray,
        limit: int,
        offset: int,
        exact: bool,
        per_image: PerImage,
        own: int | None,
    ) -> Page[SimilarPatch]:
        """As `nearest`; ``own`` is the row of the image that the vector was taken from, if it is of the index."""
        check_page(limit, offset)
        one, plan = per_image == "one", self._search_plan(layer.name)
        read = lambda row: self._read_maps(layer, row)  # noqa: E731
        if exact:
            hits = similarity.nearest_of_all(layer, vector, read, limit + offset, plan, one=one)
        else:
            hits = similarity.nearest(layer, vector, read, limit, plan, one=one, own=own, offset=offset)
        return self._similar_page(layer, hits, one, limit, offset)

    def search(
        self,
        layer: str,
        weights: dict[int, float],
        *,
        limit: int = 10,
        offset: int = 0,
        exact: bool = False,
        per_image: PerImage = "one",
    ) -> Page[SimilarPatch]:
        """The cells farthest along a direction: a weighted set of neurons, by the weighted sum of activations."""
        check_page(limit, offset)
        searched, one = self.layer(layer), per_image == "one"
        direction = np.zeros(searched.info.channels, np.float32)
        for neuron, weight in weights.items():
            direction[searched.check_neuron(neuron)] = weight
        if not np.isfinite(direction).all() or not direction.any():
            raise InvalidRequest("weights must be finite numbers, at least one of them not 0")
        read = lambda row: self._read_maps(searched, row)  # noqa: E731
        if exact:
            rows, count = range(len(self.images)), limit + offset
            hits = similarity.scan(searched, rows, read, similarity.along(direction), count, one=one)
        else:
            plan = self._search_plan(layer)
            hits = similarity.farthest(searched, direction, read, limit, plan, one=one, offset=offset)
        return self._similar_page(searched, hits, one, limit, offset)

    def nearest_images(self, layer: str, peaks: np.ndarray, limit: int = 10) -> Page[SimilarImage]:
        """The images whose peaks, negative ones as 0, have the highest cosine with ``peaks`` (C,)."""
        check_limit(limit)
        scored = similarity.nearest_images(self.layer(layer), peaks, limit)
        records = self._records(np.array([row for row, _ in scored], np.int64))
        items = [SimilarImage(record, score) for record, (_, score) in zip(records, scored, strict=True)]
        return Page(items, len(self.images), limit, 0)

    def _search_plan(self, layer: str) -> SearchPlan:
        about = self.manifest.vectors.get(layer, {})
        return SearchPlan(about.get("probes"), about.get("candidates"))

    def _similar_page(
        self, layer: Layer, hits: list[similarity.Scored], one: bool, limit: int, offset: int
    ) -> Page[SimilarPatch]:
        shown = similarity.ranked(hits[offset:])
        records = self._records(np.array([hit.row for hit in shown], np.int64))
        items = [
            SimilarPatch(
                record, layer.name, *divmod(hit.cell, layer.info.width), hit.score,
                self._box_of(record, layer, hit.cell), self._effective_box_of(record, layer, hit.cell),
            )
            for hit, record in zip(shown, records, strict=True)
        ]  # fmt: skip
        total = len(self.images) * (1 if one else layer.info.cells)
        if len(hits) < limit + offset:  # all, or all that the lists of FAISS that are looked at hold
            total = len(hits)
        return Page(items, total, limit, offset)
