"""An index as one asks it, wherever it is."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from unitscope.client.pages import Pages
from unitscope.client.records import (
    AtlasPoint,
    Firing,
    Image,
    Json,
    Mistake,
    Neuron,
    Patch,
    Proposal,
    Record,
    SimilarPatch,
    opened,
    record,
)
from unitscope.client.transport import Questions, path_of

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image as Picture

JOB_SECONDS: Final = 3600
_LAST_NEAR: Final = 10_000
"""The last offset among nearest patches, see ``NearOffset`` in openapi.yaml."""
R = TypeVar("R", bound=Record)


class IndexClient:
    """Asks one index; every method is one question of the API, and raises `Refused` with what the service said.

    Where a method gives a dict, its keys are those of the answer in openapi.yaml.
    """

    def __init__(self, ask: Questions, name: str, close: Callable[[], None]) -> None:
        self._ask, self.name, self._close = ask, name, close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of open files."""
        self._close()

    # -- what there is ------------------------------------------------------------------------------------------------

    def about(self) -> Json:
        """The network, its preprocessing and layers, and how many images and classes there are."""
        return self._get()

    def layers(self) -> list[Json]:
        """The layers, in the order of the network."""
        layers: list[Json] = self._get("layers")["items"]
        return layers

    def images(self, *, class_: str | None = None, path: str | None = None) -> Pages[Image]:
        """The images by id, all, of one class, or of one path."""
        return self._pages(Image, "images", **{"class": class_, "path": path})

    def image(self, image: int) -> Image:
        """One image."""
        return record(Image, self._get("images", image), self._ask)

    def classes(self) -> Pages[Json]:
        """The classes and how many images each has."""
        return Pages(partial(self._page, ("classes",), {}), dict)

    # -- neurons ------------------------------------------------------------------------------------------------------

    def neurons(
        self, layer: str, *, sort: str | None = None, order: str | None = None, state: str | None = None,
        best_class: str | None = None, least: float | None = None, most: float | None = None,
    ) -> Pages[Neuron]:  # fmt: skip
        """The neurons of a layer, such as ``sort="auc_at_least", order="desc"`` or ``state="dead"``.

        ``least`` and ``most`` bound the statistic that they are sorted by.
        """
        query = {"sort": sort, "order": order, "state": state, "class": best_class, "least": least, "most": most}
        return self._pages(Neuron, "layers", layer, "neurons", **query)

    def groups(self, layer: str, neuron: int) -> list[list[Patch]]:
        """The groups into which a neuron's top patches fall, where the layer has scores."""
        found = self._get("layers", layer, "neurons", neuron, "groups")["groups"]
        return [[record(Patch, item, self._ask) for item in group["patches"]] for group in found]

    def neuron(self, layer: str, neuron: int) -> Json:
        """A neuron's statistics, histogram and the classes that it tells from others."""
        return self._get("layers", layer, "neurons", neuron)

    def top_patches(
        self, layer: str, neuron: int, *, class_: str | None = None, per_image: str | None = None,
        iou: float | None = None, cell: tuple[int, int] | None = None, least: float | None = None,
    ) -> Pages[Patch]:  # fmt: skip
        """The patches that a neuron fires for most: one of each image, or with ``per_image="all"`` every cell.

        ``iou`` leaves out patches that overlap a better one by more; ``cell`` is (y, x), Girshick's unit.
        """
        y, x = cell or (None, None)
        query = {"class": class_, "per_image": per_image, "iou": iou, "y": y, "x": x, "min": least}
        return self._pages(Patch, "layers", layer, "neurons", neuron, "patches", **query)

    def fires_for(self, layer: str, text: str, limit: int = 20) -> Json:
        """The neurons of a layer that fire for what a text says, such as ``"a photo of a wheel"``, the best first.

        For layers whose patches ``patch-vectors`` has encoded, where the encoder is there, too.
        """
        return self._get("layers", layer, "fires-for", text=text, limit=limit)

    def sheet(self, layer: str, neurons: Sequence[int], columns: int | None = None) -> "Picture":
        """The pool5 figure: a line of top patches for each neuron."""
        path = path_of("indexes", self.name, "layers", layer, "sheet.png")
        return opened(self._ask.picture(path, {"neurons": ",".join(map(str, neurons)), "columns": columns}))

    # -- images -------------------------------------------------------------------------------------------------------

    def firing(self, image: int, *, layer: str | None = None, fraction: float | None = None) -> Pages[Firing]:
        """The neurons that fire on an image: those at or above the threshold of their top ``fraction``."""
        return self._pages(Firing, "images", image, "neurons", layer=layer, fraction=fraction)

    def answer(self, image: int, limit: int = 5) -> Json:
        """What the network answers, and where the image's own class stands."""
        return self._get("images", image, "answer", limit=limit)

    def why(
        self, image: int, layer: str, *, output: int | None = None, against: int | None = None, limit: int | None = None
    ) -> Json:
        """Which neurons of a layer made the network answer so, each with the exact effect of silencing it."""
        return self._get("images", image, "why", layer=layer, against=against, limit=limit, **{"for": output})

    def similar(self, layer: str, image: int, cell: tuple[int, int]) -> Pages[SimilarPatch]:
        """What looks like a patch to a layer, by cosine: the first 10,000 or somewhat more, where there are more."""
        y, x = cell
        parts = ("images", image, "layers", layer, "cells", f"{y},{x}", "similar")
        return self._pages(SimilarPatch, *parts).until(_LAST_NEAR)

    def look_up(
        self, picture: "str | Path | bytes | Picture", *, layer: str | None = None, limit: int | None = None
    ) -> Json:
        """What fires on an image of your own, what is like it, and what the network answers; nothing of it is kept."""
        path = path_of("indexes", self.name, "lookup")
        return self._ask.upload(path, _file(picture), {"layer": layer, "limit": limit})

    def search(self, layer: str, weights: Mapping[int, float], limit: int = 20) -> list[SimilarPatch]:
        """The cells with the largest weighted sum of activations."""
        body = {"layer": layer, "weights": {str(neuron): weight for neuron, weight in weights.items()}, "limit": limit}
        items = self._ask.post(path_of("indexes", self.name, "search"), body)["items"]
        return [record(SimilarPatch, item, self._ask) for item in items]

    # -- the atlas of a layer -----------------------------------------------------------------------------------------

    def atlas(self, layer: str) -> Json:
        """What a layer's atlas was made of, and which share of true neighbours it keeps."""
        return self._get("layers", layer, "atlas")

    def atlas_points(self, layer: str, limit: int | None = None) -> "np.ndarray":
        """The points of an atlas as an array (P,) of x, y, class, neuron, image, row, column; the first are a sample.

        ``class`` is a place in the atlas's ``classes``; -1 stands for no class, and for no neuron.
        """
        import numpy as np

        path = path_of("indexes", self.name, "layers", layer, "atlas", "points.npy")
        points: np.ndarray = np.load(BytesIO(self._ask.picture(path, {"limit": limit})), allow_pickle=False)
        return points

    def atlas_patches(
        self, layer: str, left: float = 0, top: float = 0, right: float = 1, bottom: float = 1, *,
        columns: int | None = None, rows: int | None = None,
    ) -> list[AtlasPoint]:  # fmt: skip
        """A grid of points over a part of an atlas, each with its picture."""
        part = {"left": left, "top": top, "right": right, "bottom": bottom, "columns": columns, "rows": rows}
        items = self._get("layers", layer, "atlas", "patches", **part)["items"]
        return [record(AtlasPoint, item, self._ask) for item in items]

    def atlas_selection(self, layer: str, polygon: Sequence[tuple[float, float]], limit: int = 20) -> Json:
        """What tells the points within a polygon from the others; its ``direction`` can be given to `search`."""
        body = {"polygon": [list(corner) for corner in polygon], "limit": limit}
        return self._ask.post(path_of("indexes", self.name, "layers", layer, "atlas", "selection"), body)

    def neuron_atlas(self, layer: str) -> Json:
        """What the atlas of a layer's neurons is made of, and how true it is: those that fire for the same together."""
        return self._get("layers", layer, "neuron-atlas")

    def neuron_atlas_selection(self, layer: str, polygon: Sequence[tuple[float, float]], limit: int = 20) -> Json:
        """The neurons within a polygon of corners (x, y) in the atlas of a layer's neurons."""
        path = path_of("indexes", self.name, "layers", layer, "neuron-atlas", "selection")
        return self._ask.post(path, {"polygon": [list(corner) for corner in polygon], "limit": limit})

    # -- names that are proposed --------------------------------------------------------------------------------------

    def proposals(
        self, *, layer: str | None = None, neuron: int | None = None, source: str | None = None,
        least: float | None = None,
    ) -> Pages[Proposal]:  # fmt: skip
        """Names for neurons that have none: those of their counterparts in other indexes, and those by machine.

        ``source`` is one other index, ``least`` the lowest correlation of counterparts. Nothing is written.
        """
        return self._pages(Proposal, "proposals", layer=layer, neuron=neuron, least=least, **{"from": source})

    def take(self, proposal: Proposal) -> Json:
        """Give a neuron the proposed name, by a change that can be undone; its note and tags stay. Gives the note."""
        return self._ask.change(
            proposal.links["note"],
            lambda note: {"name": proposal.name, "text": note["text"], "tags": note["tags"]},
        )

    def refuse(self, proposal: Proposal, refused: bool = True) -> Json:
        """Let a name not be proposed to its neuron again; ``refused=False`` takes that back."""
        body = {"layer": proposal.layer, "neuron": proposal.neuron, "name": proposal.name, "refused": refused}
        return self._ask.put(proposal.links["refusal"], body)

    # -- what the network has learned ---------------------------------------------------------------------------------

    def report(self) -> Json:
        """What the network has learned, in numbers and sentences. Start here when you debug one."""
        return self._get("report")

    def mistakes(self, *, class_: str | None = None, answered: str | None = None) -> Pages[Mistake]:
        """The images whose answer is not their class, the surest first."""
        return self._pages(Mistake, "mistakes", answered=answered, **{"class": class_})

    def scores(self) -> Json:
        """Accuracy, calibration, and every class's precision and recall."""
        return self._get("scores")

    def confusion(self) -> Json:
        """Which class is answered as which."""
        return self._get("confusion")

    def concept(
        self, layer: str, images: Sequence[int] | None = None, class_: str | None = None, *,
        against: Sequence[int] | None = None, limit: int = 20,
    ) -> Json:  # fmt: skip
        """Which neurons tell images, or a class, from all others or from those named."""
        body: Json = {"layer": layer, "limit": limit}
        body |= {"images": list(images)} if images is not None else {"class": class_}
        body |= {"against": {"images": list(against)}} if against is not None else {}
        return self._ask.post(path_of("indexes", self.name, "concept"), body)

    def what_if(
        self, layer: str, silence: Sequence[int], *, class_: str | None = None, exact: bool = False,
        seconds: float = JOB_SECONDS,
    ) -> Json:  # fmt: skip
        """What the network would answer without some neurons, over all images or a class. Waits for the job."""
        body: Json = {"layer": layer, "edits": [{"neuron": neuron} for neuron in silence], "exact": exact}
        body |= {"class": class_} if class_ is not None else {}
        return self._ask.job(path_of("indexes", self.name, "what-if"), body, seconds)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _get(self, *parts: str | int, **query: object) -> Json:
        return self._ask.get(path_of("indexes", self.name, *parts), query)

    def _page(self, parts: tuple[str | int, ...], query: Mapping[str, object], limit: int, offset: int) -> Json:
        return self._get(*parts, **query, limit=limit, offset=offset)

    def _pages(self, kind: type[R], *parts: str | int, **query: Any) -> Pages[R]:
        return Pages(partial(self._page, parts, query), lambda item: record(kind, item, self._ask))


def _file(picture: "str | Path | bytes | Picture") -> bytes:
    match picture:
        case bytes():
            return picture
        case str() | os.PathLike():
            return Path(picture).read_bytes()
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
