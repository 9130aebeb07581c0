"""What decides an activation: the model, its weights, the preprocessing and the layers."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from indexer.defaults import FLOAT32, PRECISIONS
from indexer.images.preprocessing import Preprocessing
from indexer.index.loading import PLAIN, Loading
from indexer.receptive_field import ReceptiveField
from indexer.receptive_field.layout import Layout

MAX_CELLS = 1 << 24
"""The most cells that a map may have: 4096 x 4096."""
MAX_NEURONS = 1 << 16
"""The most neurons that a layer may have; shards count them in 16 bits."""
MAX_SIDE = 1 << 16
"""The most cells that a map may have in a row or a column."""


@dataclass(frozen=True)
class DictionaryFile:
    """The dictionary that makes a layer of another's maps.

    Attributes
    ----------
    file, sha256 : str
        Its file, relative to the index.
    recipe : str
        How it was learned and how good it is, as JSON; see `indexer.dictionaries.learn`.
    """

    file: str
    sha256: str
    recipe: str = "{}"

    def about(self) -> dict[str, Any]:
        """The recipe, read."""
        recipe: dict[str, Any] = json.loads(self.recipe)
        return recipe


@dataclass(frozen=True)
class LayerInfo:
    """A layer: its name, the shape of its maps and the receptive field of their cells."""

    name: str
    channels: int
    height: int
    width: int
    field: ReceptiveField
    layout: Layout | None = None
    """The meaning of the layer's dimensions, if a person gave it."""
    dictionary: DictionaryFile | None = None
    """Only of an encoded layer."""

    @property
    def cells(self) -> int:
        return self.height * self.width

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a map."""
        return self.height, self.width

    @property
    def is_possible(self) -> bool:
        """Whether an index can have a layer of this shape."""
        sides = min(self.channels, *self.shape) >= 1 and max(self.shape) <= MAX_SIDE
        return sides and self.channels <= MAX_NEURONS and self.cells <= MAX_CELLS

    def to_json(self) -> dict[str, Any]:
        given: dict[str, Any] = {"layout": str(self.layout)} if self.layout else {}  # unknown to older programs
        if self.dictionary is not None:
            given["dictionary"] = vars(self.dictionary) | {"recipe": self.dictionary.about()}
        return {
            "name": self.name,
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "receptive_field": self.field.to_json(),
            **given,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "LayerInfo":
        shape = (int(data["channels"]), int(data["height"]), int(data["width"]))
        field = ReceptiveField.from_json(data["receptive_field"])
        for axis, cells in ((field.y, shape[1]), (field.x, shape[2])):
            if axis is not None and len(axis.intervals) != cells:
                raise ValueError(f"layer {data['name']!r} has {cells} cells and {len(axis.intervals)} receptive fields")
        layout = Layout.parse(data["layout"]) if "layout" in data else None
        dictionary = None
        if "dictionary" in data:
            kept = data["dictionary"]
            dictionary = DictionaryFile(kept["file"], kept["sha256"], json.dumps(kept["recipe"], sort_keys=True))
        info = cls(str(data["name"]), *shape, field, layout, dictionary)
        if not info.is_possible:
            raise ValueError(f"layer {info.name!r} has the impossible shape {shape}")
        return info


@dataclass(frozen=True)
class Configuration:
    """Everything that decides an activation. An index holds activations of one configuration only.

    Attributes
    ----------
    model, weights : str
        Names, as `indexer.network.models.load_model` takes them.
    weights_digest : str
        sha256 over the parameters. It decides whether two configurations have the same weights; their paths do not.
    preprocessing : Preprocessing
    layers : tuple of LayerInfo
    keep_images : bool
        Whether shards hold the original files.
    precision : str
        One of `PRECISIONS`.
    loading : Loading
        The arguments of the model's factory, and how its weights file was read.
    home : str
        Where the index is, whose folder the files of dictionaries are relative to; "" if there is none yet.
    """

    model: str
    weights: str
    weights_digest: str
    preprocessing: Preprocessing
    layers: tuple[LayerInfo, ...]
    keep_images: bool = False
    precision: str = FLOAT32
    loading: Loading = PLAIN
    home: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        model = {"name": self.model, "weights": self.weights, "weights_digest": self.weights_digest}
        model |= self.loading.to_json()
        if self.precision != FLOAT32:  # left out for float32, as in older indexes
            model["precision"] = self.precision
        return {
            "model": model,
            "preprocessing": self.preprocessing.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
            "keep_images": self.keep_images,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Configuration":
        model = data["model"]
        precision = model.get("precision", FLOAT32)
        if precision not in PRECISIONS:
            raise ValueError(f"the precision {precision!r} is none of {', '.join(PRECISIONS)}")
        return cls(
            model=str(model["name"]),
            weights=str(model["weights"]),
            weights_digest=str(model["weights_digest"]),
            preprocessing=Preprocessing.from_json(data["preprocessing"]),
            layers=tuple(LayerInfo.from_json(layer) for layer in data["layers"]),
            keep_images=bool(data["keep_images"]),
            precision=precision,
            loading=Loading.from_json(model),
            home=str(data.get("home", "")),
        )

    @cached_property
    def text(self) -> str:
        """All of it, ``home`` too, as JSON for another process on this machine."""
        return json.dumps(self.to_json() | {"home": self.home})

    @property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """Channels, height and width of each layer's maps."""
        return {layer.name: (layer.channels, layer.height, layer.width) for layer in self.layers}

    @property
    def dictionaries(self) -> dict[str, str]:
        """sha256 of each dictionary's file, by its path relative to the index."""
        return {layer.dictionary.file: layer.dictionary.sha256 for layer in self.layers if layer.dictionary}

    @cached_property
    def digest(self) -> str:
        """sha256 over all that decides an activation. The weights' path, and how they were found in it, is left out."""
        content = self.to_json()
        for name in _OF_THE_FILE:
            content["model"].pop(name, None)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def restricted_to(self, other: "Configuration") -> "Configuration":
        """This configuration with those of its layers that the other has too, or as it is if it lacks one of them."""
        names = {layer.name for layer in other.layers}
        own = tuple(layer for layer in self.layers if layer.name in names)
        return replace(self, layers=own) if len(own) == len(names) else self

    def adopting(self, there: "Configuration") -> "Configuration":
        """This configuration with the other's receptive fields wherever either was measured.

        Measuring the same layer again may round differently.
        """
        theirs = {(layer.name, layer.channels, *layer.shape): layer.field for layer in there.layers}
        layers = []
        for layer in self.layers:
            known = theirs.get((layer.name, layer.channels, *layer.shape), layer.field)
            measured = {"measured", "unsupported"} & {layer.field.kind, known.kind}
            layers.append(replace(layer, field=known) if measured else layer)
        return replace(self, layers=tuple(layers))

    def differences(self, other: "Configuration") -> list[str]:
        """One line for each difference, with this configuration's value first."""
        mine, theirs = _flat(self.to_json()), _flat(other.to_json())
        names = [name for name in mine if mine[name] != theirs.get(name)]
        return [f"{name}: {mine[name]} there, {theirs.get(name)} here" for name in names]


_OF_THE_FILE: Final = ("weights", "weights_key", "strip_prefix", "strict")
"""Fields that only say where the weights are and how to read them; the digest says which weights they are."""


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    model = {"precision": FLOAT32, "arguments": {}} | data["model"]
    flat = {f"model.{key}": value for key, value in model.items() if key not in _OF_THE_FILE}
    preprocessing = {"value_range": None} | data["preprocessing"]
    flat |= {f"preprocessing.{key}": list(value) if isinstance(value, (list, tuple)) else value
             for key, value in preprocessing.items()}  # fmt: skip
    flat["layers"] = [
        f"{layer['name']} ({layer['channels']}, {layer['height']}, {layer['width']}) {layer.get('layout', '')}".rstrip()
        for layer in data["layers"]
    ]
    return flat | {"keep_images": data["keep_images"]}
