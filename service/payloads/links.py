"""URLs of one index's resources."""

from functools import lru_cache
from urllib.parse import quote

from indexer.query.records import ImageRecord
from service.payloads.versions import Versions


def index_url(script_root: str, name: str) -> str:
    """The URL of an index, which need not be open for it."""
    return f"{quote(script_root)}/v1/indexes/{_segment(name)}"


class Links:
    """URLs, without scheme and host, of what an index holds.

    Those of pictures carry the picture's version, so that they may be kept for ever.
    """

    def __init__(self, script_root: str, name: str, versions: Versions) -> None:
        self.index = index_url(script_root, name)
        self._versions = versions

    def layers(self) -> str:
        return f"{self.index}/layers"

    def layer(self, layer: str) -> str:
        return f"{self.index}/layers/{_segment(layer)}"

    def atlas(self, layer: str) -> str:
        return f"{self.layer(layer)}/atlas"

    def neuron_atlas(self, layer: str) -> str:
        return f"{self.layer(layer)}/neuron-atlas"

    def fires_for(self, layer: str) -> str:
        return f"{self.layer(layer)}/fires-for"

    def neurons(self, layer: str, state: str | None = None) -> str:
        return f"{self.layer(layer)}/neurons" + ("" if state is None else f"?state={state}")

    def neuron(self, layer: str, neuron: int) -> str:
        return f"{self.layer(layer)}/neurons/{neuron}"

    def patches(self, layer: str, neuron: int) -> str:
        return f"{self.neuron(layer, neuron)}/patches"

    def sheet(self, layer: str, neuron: int) -> str:
        return f"{self.neuron(layer, neuron)}/sheet.png?version={self._versions.of_sheet()}"

    def tiles(self, layer: str, neuron: int) -> str:
        return f"{self.neuron(layer, neuron)}/tiles.jpg?version={self._versions.of_sheet()}"

    def groups(self, layer: str, neuron: int) -> str:
        return f"{self.neuron(layer, neuron)}/groups"

    def correlated(self, layer: str, neuron: int) -> str:
        return f"{self.neuron(layer, neuron)}/correlated"

    def layer_classes(self, layer: str) -> str:
        return f"{self.layer(layer)}/classes"

    def layer_class(self, layer: str, class_: str) -> str:
        return f"{self.layer_classes(layer)}/{_segment(class_)}"

    def pair(self, layer: str, a: str, b: str) -> str:
        return f"{self.layer(layer)}/pair?a={_segment(a)}&b={_segment(b)}"

    def images(self, class_: str | None = None) -> str:
        return f"{self.index}/images" + ("" if class_ is None else f"?class={_segment(class_)}")

    def image(self, image: ImageRecord) -> str:
        return f"{self.index}/images/{image.id}"

    def file(self, image: ImageRecord) -> str:
        return f"{self.image(image)}/file{self._version(image)}"

    def picture(self, image: ImageRecord) -> str:
        return f"{self.image(image)}/picture.jpg{self._version(image)}"

    def firing(self, image: ImageRecord) -> str:
        return f"{self.image(image)}/neurons"

    def patch(self, image: ImageRecord, layer: str, y: int, x: int) -> str:
        return f"{self._cell(image, layer, y, x)}/patch.jpg{self._version(image)}"

    def similar(self, image: ImageRecord, layer: str, y: int, x: int) -> str:
        return f"{self._cell(image, layer, y, x)}/similar"

    def unit(self, image: ImageRecord, layer: str, y: int, x: int, neuron: int) -> dict[str, str]:
        """All that shows a neuron at a cell of an image."""
        own, name, cell = self.image(image), _segment(layer), self._cell(image, layer, y, x)
        version = self._versions.of_patch(image)
        heat = self._versions.of_heat(image, layer, neuron)
        own_links = {
            "patch": f"{cell}/patch.jpg?version={version}",
            "image": own,
            "heatmap": f"{own}/layers/{name}/neurons/{neuron}/heatmap.png?version={heat}",
            "similar": f"{cell}/similar",
            "saliency": f"{cell}/saliency.png?neuron={neuron}&version={version}",
        }
        if self._versions.index.effective_field(layer) is None:
            return own_links
        effective = self._versions.of_effective(version, layer)
        return own_links | {"effective_patch": f"{cell}/patch.jpg?field=effective&version={effective}"}

    def answer(self, image: ImageRecord) -> str:
        return f"{self.image(image)}/answer"

    def mistakes(self, class_: str | None = None, answered: str | None = None) -> str:
        asked = [("class", class_), ("answered", answered)]
        query = "&".join(f"{name}={_segment(value)}" for name, value in asked if value is not None)
        return f"{self.index}/mistakes" + (f"?{query}" if query else "")

    def scores(self) -> str:
        return f"{self.index}/scores"

    def what_if(self) -> str:
        return f"{self.index}/what-if"

    def importance(self, layer: str) -> str:
        return f"{self.layer(layer)}/importance"

    def classes(self) -> str:
        return f"{self.index}/classes"

    def class_(self, class_: str) -> str:
        return f"{self.index}/classes/{_segment(class_)}"

    def report(self) -> str:
        return f"{self.index}/report"

    def lookup(self) -> str:
        return f"{self.index}/lookup"

    def concept(self) -> str:
        return f"{self.index}/concept"

    def search(self) -> str:
        return f"{self.index}/search"

    def _cell(self, image: ImageRecord, layer: str, y: int, x: int) -> str:
        return f"{self.image(image)}/layers/{_segment(layer)}/cells/{y},{x}"

    def _version(self, image: ImageRecord) -> str:
        return f"?version={self._versions.of_patch(image)}"


@lru_cache(maxsize=4096)  # the links of a page repeat few names
def _segment(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")  # a file's name need not be UTF-8
