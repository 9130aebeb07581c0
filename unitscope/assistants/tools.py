"""The tools: each asks one thing of a service and gives a small answer, some with pictures.

An answer is what the service says, without most of its links and with lists cut to a length that is said.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from mcp.server.mcpserver import Image

from indexer.errors import InvalidRequest
from indexer.images.reading import read_file
from unitscope.client.transport import Questions, path_of

Answer = list[str | Image]
_JOB_SECONDS: Final = 600
_MOST: Final = 50


class Tools:
    """The tools that read. Indexes, layers and classes are named as `list_indexes` and `describe_index` name them."""

    def __init__(self, questions: Questions) -> None:
        self._ask = questions

    def all(self) -> list[Callable[..., Any]]:
        """The tools, in the order in which one would use them."""
        return [
            self.list_indexes, self.describe_index, self.report, self.find_neurons, self.show_neuron, self.top_patches,
            self.class_neurons, self.find_by_text, self.list_images, self.show_image, self.mistakes, self.why,
            self.compare_images, self.show_atlas, self.select_in_atlas, self.proposed_names,
        ]  # fmt: skip

    def list_indexes(self) -> Answer:
        """List the indexes that are served: what one network did on one set of images."""
        return _said(self._ask.get("/v1/indexes"))

    def describe_index(self, index: str) -> Answer:
        """Model, preprocessing, layers with their shapes and receptive fields, and the classes of an index."""
        about = self._ask.get(path_of("indexes", index))
        classes = self._ask.get(path_of("indexes", index, "classes"), {"limit": _MOST})
        named = [f"{item['class']} ({item['images']} images)" for item in classes["items"]]
        return _said({**about, "classes": named, "all_classes": classes["total"]})

    def report(self, index: str) -> Answer:
        """What the network has learned: dead and dense neurons, classes that nothing fires for, confused pairs, hints
        at a shortcut. Start here when you debug a network."""
        about = self._ask.get(path_of("indexes", index, "report"))
        return _said(
            {name: about[name] for name in ("model", "images", "findings", "hints", "confusion") if name in about}
        )

    def find_neurons(
        self, index: str, layer: str, sort: str = "auc_at_least", state: str | None = None,
        class_name: str | None = None, limit: int = 10,
    ) -> Answer:  # fmt: skip
        """Neurons of a layer, the highest first, by `sort` (auc_at_least, selectivity, maximum, firing_images; clarity,
        polysemanticity, redundancy where the layer has scores; neuron: by number, ascending), perhaps only those in a
        `state` (dead, dense, selective, mixed) or those whose best class is `class_name`."""
        order = "asc" if sort == "neuron" else "desc"
        query = {"sort": sort, "order": order, "state": state, "class": class_name, "limit": min(limit, _MOST)}
        return _said(self._ask.get(path_of("indexes", index, "layers", layer, "neurons"), query))

    def show_neuron(self, index: str, layer: str, neuron: int) -> Answer:
        """Statistics of a neuron, the classes it fires for, and a sheet of its top patches: what it fires for."""
        path = path_of("indexes", index, "layers", layer, "neurons", neuron)
        sheet = self._ask.picture(f"{path}/sheet.png", {"columns": 8})
        return [*_said(self._ask.get(path)), Image(data=sheet, format="png")]

    def top_patches(self, index: str, layer: str, neuron: int, limit: int = 5, class_name: str | None = None) -> Answer:
        """Where a neuron is most active: image, place, activation, and the patch of the image as a picture."""
        path = path_of("indexes", index, "layers", layer, "neurons", neuron, "patches")
        found = self._ask.get(path, {"limit": min(limit, 12), "class": class_name})
        pictures = [self._ask.picture(item["links"]["patch"]) for item in found["items"]]
        return [*_said(found), *(Image(data=picture, format="jpeg") for picture in pictures)]

    def class_neurons(self, index: str, layer: str, class_name: str) -> Answer:
        """The neurons of a layer that tell a class from all others, best first."""
        return _said(self._ask.get(path_of("indexes", index, "layers", layer, "classes", class_name)))

    def find_by_text(self, index: str, layer: str, text: str, limit: int = 10) -> Answer:
        """Neurons of a layer that fire for what a text says, such as "a photo of a wheel", with a score beside the mean
        of all neurons' and an AUC on held-out patches. Only where the layer's patches were encoded."""
        path = path_of("indexes", index, "layers", layer, "fires-for")
        return _said(self._ask.get(path, {"text": text, "limit": min(limit, _MOST)}))

    def list_images(self, index: str, class_name: str | None = None, limit: int = 20, offset: int = 0) -> Answer:
        """Images of an index, all or of one class: their ids, paths and classes."""
        query = {"class": class_name, "limit": min(limit, _MOST), "offset": offset}
        return _said(self._ask.get(path_of("indexes", index, "images"), query))

    def show_image(self, index: str, image: int) -> Answer:
        """An image of an index as a picture, the network's answer for it, and the neurons that fire on it."""
        path = path_of("indexes", index, "images", image)
        firing = self._ask.get(f"{path}/neurons", {"limit": 10})
        picture = self._ask.picture(f"{path}/picture.jpg", {"size": 384})
        return [*_said(self._ask.get(path)), *_said(firing), Image(data=picture, format="jpeg")]

    def mistakes(
        self, index: str, class_name: str | None = None, answered: str | None = None, limit: int = 20
    ) -> Answer:
        """Images whose answer is not their class, with the answer and its confidence; perhaps only images of one class,
        or those answered as another."""
        query = {"class": class_name, "answered": answered, "limit": min(limit, _MOST)}
        return _said(self._ask.get(path_of("indexes", index, "mistakes"), query))

    def why(
        self, index: str, image: int, layer: str, output: str | None = None, against: str | None = None, limit: int = 5
    ) -> Answer:
        """Which neurons of a layer pushed an output up or down on an image (by default its answer), with the exact
        effect of silencing each. `against` explains the difference to another output."""
        query = {"layer": layer, "for": output, "against": against, "limit": min(limit, 20)}
        return _said(self._ask.get(path_of("indexes", index, "images", image, "why"), query))

    def compare_images(
        self, index: str, layer: str, images: list[int], against: list[int] | None = None, limit: int = 10
    ) -> Answer:
        """Neurons of a layer that tell some images from others (`against`, by default all others), by AUC: give it the
        mistakes and the right answers, and see which neurons differ."""
        body: dict[str, object] = {"layer": layer, "images": images, "limit": min(limit, _MOST)}
        if against:
            body["against"] = {"images": against}
        return _said(self._ask.post(path_of("indexes", index, "concept"), body))

    def show_atlas(
        self, index: str, layer: str, left: float = 0.0, top: float = 0.0, right: float = 1.0, bottom: float = 1.0
    ) -> Answer:
        """A layer's atlas, cells with alike activations next to each other: how true it is, and a few points of a part
        of it (0 to 1) as patches. Only where the layer has one."""
        path = path_of("indexes", index, "layers", layer, "atlas")
        part = {"left": left, "top": top, "right": right, "bottom": bottom, "columns": 4, "rows": 3}
        found = self._ask.get(f"{path}/patches", part)
        pictures = [self._ask.picture(item["links"]["patch"]) for item in found["items"]]
        shown = [Image(data=picture, format="jpeg") for picture in pictures]
        return [*_said(self._ask.get(path)), *_said(found), *shown]

    def select_in_atlas(self, index: str, layer: str, polygon: list[list[float]], limit: int = 10) -> Answer:
        """What tells the points of an atlas within a polygon (its corners, x and y of 0 to 1) from all others: their
        classes and the neurons that differ."""
        path = path_of("indexes", index, "layers", layer, "atlas", "selection")
        return _said(self._ask.post(path, {"polygon": polygon, "limit": min(limit, _MOST)}))

    def proposed_names(
        self, index: str, layer: str | None = None, neuron: int | None = None, limit: int = 20
    ) -> Answer:
        """Names that are proposed to neurons without one: those of their counterparts in other indexes, and those that
        a machine has found, each with its evidence. Nothing is written."""
        query = {"layer": layer, "neuron": neuron, "limit": min(limit, _MOST)}
        return _said(self._ask.get(path_of("indexes", index, "proposals"), query))


class LocalTools(Tools):
    """The tools that read, and one for files of this machine."""

    def all(self) -> list[Callable[..., Any]]:
        return [*super().all(), self.look_up_file]

    def look_up_file(self, index: str, file: str, layer: str | None = None) -> Answer:
        """Send an image file of this machine through the network: its answer, the neurons that fire, the most similar
        indexed patches and images."""
        return _said(
            self._ask.upload(path_of("indexes", index, "lookup"), read_file(Path(file)), {"layer": layer, "limit": 10})
        )


class WritingTools:
    """The tools that write to the notes, each by one change that people can undo."""

    def __init__(self, questions: Questions) -> None:
        self._ask = questions

    def all(self) -> list[Callable[..., Any]]:
        """The tools."""
        return [self.take_name, self.refuse_name]

    def take_name(self, index: str, layer: str, neuron: int, name: str) -> Answer:
        """Give a neuron a name that `proposed_names` proposes to it; its note and tags stay. People can undo it."""
        self._check(index, layer, neuron, name)
        path = f"{path_of('indexes', index, 'note')}?{urlencode({'layer': layer, 'neuron': neuron})}"
        made = self._ask.change(path, lambda note: {"name": name, "text": note["text"], "tags": note["tags"]})
        return _said({key: made[key] for key in ("about", "name", "revision", "author")})

    def refuse_name(self, index: str, layer: str, neuron: int, name: str) -> Answer:
        """Keep a name that `proposed_names` proposes from being proposed to this neuron again."""
        self._check(index, layer, neuron, name)
        body = {"layer": layer, "neuron": neuron, "name": name, "refused": True}
        return _said(self._ask.put(path_of("indexes", index, "proposals", "refusal"), body))

    def _check(self, index: str, layer: str, neuron: int, name: str) -> None:
        """Refuse a name that nobody proposes: an assistant takes and refuses, and writes nothing of its own."""
        query = {"layer": layer, "neuron": neuron, "limit": _MOST}
        proposed = [item["name"] for item in self._ask.get(path_of("indexes", index, "proposals"), query)["items"]]
        if name not in proposed:
            known = ", ".join(map(repr, proposed)) or "none"
            raise InvalidRequest(f"{name!r} is not proposed to neuron {neuron} of {layer}; proposed: {known}")


class RunningTools:
    """The tools that start jobs; they take seconds to minutes."""

    def __init__(self, questions: Questions) -> None:
        self._ask = questions

    def all(self) -> list[Callable[..., Any]]:
        """The tools."""
        return [self.what_if]

    def what_if(self, index: str, layer: str, silence: list[int], class_name: str | None = None) -> Answer:
        """What the network would answer, over all images or those of a class, with some neurons of a layer silenced:
        accuracy and recall of each class before and after."""
        body: dict[str, object] = {
            "layer": layer,
            "edits": [{"neuron": neuron, "how": "silence"} for neuron in silence],
        }
        if class_name is not None:
            body["class"] = class_name
        return _said(self._ask.job(path_of("indexes", index, "what-if"), body, _JOB_SECONDS))


def _said(answer: dict[str, Any]) -> Answer:
    return [json.dumps(_small(answer), ensure_ascii=False)]


def _small(value: Any) -> Any:
    """A record with its own link only, and lists of at most `_MOST` items."""
    if isinstance(value, dict):
        small = {name: _small(item) for name, item in value.items() if name != "links"}
        own = value.get("links", {}).get("self") if isinstance(value.get("links"), dict) else None
        return small | ({"link": own} if own else {})
    if isinstance(value, list):
        left = len(value) - _MOST
        return [_small(item) for item in value[:_MOST]] + ([f"and {left} more"] if left > 0 else [])
    return round(value, 4) if isinstance(value, float) else value
