"""The files of one published generation, open: images, layers, maps, boxes, originals."""

from collections.abc import Callable
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from PIL import Image

from indexer.defaults import MAX_PIXELS, Field
from indexer.derive.carried.atlas import Atlas, read_atlas
from indexer.derive.carried.effective import read_effective
from indexer.derive.carried.files import key_of
from indexer.derive.carried.patch_vectors import PatchVectors, read_patch_vectors
from indexer.derive.image_table import ImageTable
from indexer.derive.scores.encoder_file import read_encoder_scores
from indexer.derive.scores.file import Scores, read_scores
from indexer.derive.scores.file import key_of as scores_key
from indexer.errors import DamagedFile, NotFound
from indexer.images.geometry import Box
from indexer.images.reading import read_picture
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.manifest import Manifest, check_no_links, read_manifest
from indexer.index.shard_info import ShardInfo
from indexer.query import deadline
from indexer.query.boxes import Boxes, EffectiveBoxes
from indexer.query.layer import Layer
from indexer.query.originals import Originals
from indexer.query.paging import page_of
from indexer.query.records import ImageRecord, Page
from indexer.receptive_field.effective import EffectiveField
from indexer.shards.listed import open_listed, shards_at_once
from indexer.shards.pool import ShardPool
from indexer.shards.reader import Shard
from indexer.store.remote import parse_location
from indexer.store.storage import Location, storage_at

if TYPE_CHECKING:
    from indexer.network.forward import Network


T = TypeVar("T")


class Generation:
    """One generation of an index, opened read-only and memory-mapped. Safe to use from several threads.

    Attributes
    ----------
    path : Location
    name : str
        The folder's name.
    manifest : Manifest
    images : ImageTable
    kept : dict
        What others work out from the generation, by keys of their own; see `once`.
    """

    def __init__(self, path: Location, images: Location | None = None) -> None:
        self.path = path.resolve()
        self.name = self.path.name
        self.manifest: Manifest = read_manifest(path)
        check_no_links(path, self.manifest)
        self._image_root = images
        self.kept: dict[object, Any] = {}
        self.images = ImageTable(path, self._derived("images"))
        self.images.check(len(self.manifest.shards))
        if len(self.images) != self.manifest.images:
            raise DamagedFile(self._derived("images"), "does not hold the number of images that the manifest says")
        self.layers = MappingProxyType({
            info.name: Layer(
                path, info, self._derived(f"layer {info.name}"), self._derived(f"vectors {info.name}"),
                self.manifest.derived.get(f"lists {info.name}"), self.images.class_code, self._scores(info),
            )
            for info in self.manifest.configuration.layers
        })  # fmt: skip
        preprocessing = self.manifest.configuration.preprocessing
        self._boxes = {name: Boxes(layer.info.field, preprocessing) for name, layer in self.layers.items()}
        self._effective_boxes = {
            name: EffectiveBoxes(read_effective(path, file, layer.info, preprocessing.input_size), preprocessing)
            for name, layer in self.layers.items()
            if (file := self.manifest.derived.get(key_of(layout.EFFECTIVE, name)))
        }
        self._shards = _pool(self.path, self.manifest.shards)
        if not storage_at(path).costs_requests:
            self._shards.open_some()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the shards; what was answered stays valid."""
        self._shards.close()

    @property
    def generation(self) -> int:
        return self.manifest.generation

    @property
    def classes(self) -> list[str]:
        return self.images.classes

    def _scores(self, info: LayerInfo) -> Scores | None:
        recipe = self.manifest.scores.get(info.name)
        if recipe is not None:
            return read_scores(self.path, self._derived(scores_key(info.name)), info, recipe)
        file = self.manifest.derived.get(key_of(layout.ENCODER_SCORES, info.name))
        return None if file is None else read_encoder_scores(self.path, file, info)

    def _derived(self, name: str) -> str:
        try:
            return self.manifest.derived[name]
        except KeyError as error:
            raise DamagedFile("manifest.json", f"lists no derived file {name!r}") from error

    # -- images ---------------------------------------------------------------------------------------------------

    def layer(self, name: str) -> Layer:
        """A layer by name; NotFound lists those there are."""
        if name not in self.layers:
            raise NotFound(f"the index has no layer {name!r}; it has {', '.join(self.layers)}")
        return self.layers[name]

    def image(self, id: int) -> ImageRecord:
        """An image by id; NotFound."""
        return self._record(self._row(id))

    def find_images(
        self, path: str | None = None, class_: str | None = None, limit: int = 50, offset: int = 0
    ) -> Page[ImageRecord]:
        """Images in order of ids, all or of one path or one class."""
        # A range, because a list of a million rows takes longer than the page that is shown.
        rows: range | np.ndarray = range(len(self.images)) if class_ is None else self.images.rows_of_class(class_)
        if path is not None:
            row = self.images.find_path(path)
            rows = np.array([row] if row is not None and row in rows else [], np.int64)
        shown = np.array(page_of(rows, limit, offset), np.int64)
        return Page(self._records(shown), len(rows), limit, offset)

    def class_counts(self) -> dict[str, int]:
        """Images of each class."""
        codes = self.images.class_code
        counts = np.bincount(codes[codes >= 0], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def _row(self, id: int) -> int:
        row = self.images.find_id(id)
        if row is None:
            raise NotFound(f"the index has no image {id}")
        return row

    def _record(self, row: int) -> ImageRecord:
        (record,) = self._records(np.array([row]))
        return record

    def _records(self, rows: np.ndarray) -> list[ImageRecord]:
        table = self.images
        columns = (
            table.id[rows].tolist(), table.paths(rows), table.classes_of(rows), table.width[rows].tolist(),
            table.height[rows].tolist(), table.sha256s(rows),
        )  # fmt: skip
        return [ImageRecord(*values) for values in zip(*columns, strict=True)]

    # -- activations ----------------------------------------------------------------------------------------------

    def activation_maps(self, image: int, layer: str) -> np.ndarray:
        """Maps (C, H, W) float32 of a layer on an image, as kept: rounded to float16."""
        return self._read_maps(self.layer(layer), self._row(image)).astype(np.float32)

    def activation_map(self, image: int, layer: str, neuron: int) -> np.ndarray:
        """Map (H, W) float32 of one neuron on an image, as kept: rounded to float16."""
        of_layer = self.layer(layer)
        return self._read_map(of_layer, self._row(image), of_layer.check_neuron(neuron)).astype(np.float32)

    def _shard(self, row: int) -> tuple[Shard, int]:
        return self._shards[int(self.images.shard[row])], int(self.images.row[row])

    def _read_maps(self, layer: Layer, row: int) -> np.ndarray:
        deadline.check()
        shard, row_of_shard = self._shard(row)
        return _of_shape(shard, shard.maps(layer.name, row_of_shard), (layer.info.channels, *layer.info.shape))

    def _read_map(self, layer: Layer, row: int, neuron: int) -> np.ndarray:
        deadline.check()
        shard, row_of_shard = self._shard(row)
        return _of_shape(shard, shard.map(layer.name, row_of_shard, neuron), layer.info.shape)

    # -- where cells are ------------------------------------------------------------------------------------------

    def box(self, image: ImageRecord, layer: str, y: int, x: int) -> Box:
        """The receptive field of a cell in pixels of the original, clipped to it.

        The whole image where the field is not known.
        """
        return self.box_in(image.width, image.height, layer, y, x)

    def box_in(self, width: int, height: int, layer: str, y: int, x: int) -> Box:
        """As `box`, for any picture of this width and height."""
        self.layer(layer).check_cell(y, x)
        return self._boxes[layer].of(width, height, y, x)

    def effective_field(self, layer: str) -> EffectiveField | None:
        """The effective receptive fields of a layer; None where none were measured."""
        boxes = self._effective_boxes.get(self.layer(layer).name)
        return None if boxes is None else boxes.field

    def atlas(self, layer: str) -> Atlas:
        """The atlas of a layer, with points of images that the index may have no more.

        Raises
        ------
        NotFound
            There is no such layer, or none was made.
        DamagedFile
        """
        file = self.carried_file(layout.ATLASES, layer)
        if file is None:
            raise NotFound(f"layer {layer} has no atlas yet; python -m indexer atlas INDEX --layer {layer} makes it")
        return read_atlas(self.path, file, self.layer(layer).info)

    def carried_file(self, kind: str, layer: str) -> str | None:
        """The file of one of the kinds `layout.CARRIED` that a layer has; None where none was made.

        Raises
        ------
        NotFound
            There is no such layer.
        """
        return self.manifest.derived.get(key_of(kind, self.layer(layer).name))

    def has_patch_vectors(self, layer: str) -> bool:
        """Whether an image-text encoder has encoded the top patches of a layer."""
        return self.carried_file(layout.PATCH_VECTORS, layer) is not None

    def patch_vectors(self, layer: str) -> PatchVectors:
        """An encoder's vectors of the top patches of a layer, with those of images that the index may have no more.

        Raises
        ------
        NotFound
            There is no such layer, or none was encoded.
        DamagedFile
        """
        file = self.carried_file(layout.PATCH_VECTORS, layer)
        if file is None:
            raise NotFound(
                f"no patches of layer {layer} were encoded yet; python -m indexer patch-vectors INDEX --layer {layer} "
                "--encoder MODULE:FACTORY does it"
            )
        info = self.layer(layer).info
        return self.once(("patch vectors", layer), lambda: read_patch_vectors(self.path, file, info))

    def once(self, key: object, work: Callable[[], T]) -> T:
        """What ``work`` gives: worked out when first asked for, and kept for as long as the generation is open."""
        if key not in self.kept:
            self.kept[key] = work()
        found: T = self.kept[key]
        return found

    def check_field(self, layer: str, field: Field) -> None:
        """Refuse a field that is not known of a layer.

        Raises
        ------
        NotFound
            It is "effective", and none was measured.
        """
        if field == "effective" and self.effective_field(layer) is None:
            raise NotFound(
                f"layer {layer} has no effective receptive field yet; python -m indexer effective-field INDEX --layer "
                f"{layer} measures it"
            )

    def effective_box(self, image: ImageRecord, layer: str, y: int, x: int) -> Box | None:
        """The effective receptive field of a cell in pixels of the original; None where none was measured."""
        return self.effective_box_in(image.width, image.height, layer, y, x)

    def effective_box_in(self, width: int, height: int, layer: str, y: int, x: int) -> Box | None:
        """As `effective_box`, for any picture of this width and height."""
        self.layer(layer).check_cell(y, x)
        boxes = self._effective_boxes.get(layer)
        return None if boxes is None else boxes.of(width, height, y, x)

    def field_box(self, image: ImageRecord, layer: str, y: int, x: int, field: Field) -> Box:
        """The box of a cell that a picture of this field shows.

        Raises
        ------
        NotFound
            No such cell, or no effective field.
        """
        self.check_field(layer, field)
        effective = self.effective_box(image, layer, y, x) if field == "effective" else None
        return effective or self.box(image, layer, y, x)

    def _box_of(self, image: ImageRecord, layer: Layer, cell: int) -> Box:
        return self.box(image, layer.name, *divmod(cell, layer.info.width))

    def _effective_box_of(self, image: ImageRecord, layer: Layer, cell: int) -> Box | None:
        return self.effective_box(image, layer.name, *divmod(cell, layer.info.width))

    def _row_box(self, layer: Layer, row: int, cell: int) -> Box:
        y, x = divmod(cell, layer.info.width)
        return self.box_in(int(self.images.width[row]), int(self.images.height[row]), layer.name, y, x)

    # -- pictures and the network ---------------------------------------------------------------------------------

    @cached_property
    def _originals(self) -> Originals:
        kept = self._kept if self.manifest.configuration.keep_images else None
        root = self._image_root or parse_location(self.manifest.image_root)
        return Originals(root, kept, self.manifest.intake.follow_links)

    def _kept(self, image: ImageRecord) -> bytes:
        shard, row_of_shard = self._shard(self._row(image.id))
        return shard.original(row_of_shard)

    def original(self, image: ImageRecord) -> bytes:
        """The original file of an image; ImageUnavailable where it is gone or changed."""
        deadline.check()
        return self._originals.read(image)

    def picture(self, image: ImageRecord) -> Image.Image:
        """The original picture, RGB, upright."""
        most = max(MAX_PIXELS, self.manifest.intake.max_pixels)
        return read_picture(self.original(image), most, self.manifest.configuration.preprocessing.value_range)

    def network(self, weights: str | None = None, device: str | None = None, model: str | None = None) -> "Network":
        """Load the network that the index was made with; see `indexer.network.restore.network_of`."""
        from indexer.network.restore import network_of  # here, because questions need neither torch nor the network

        return network_of(self.manifest.configuration, weights, device, model)


def _of_shape(shard: Shard, maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if maps.shape != shape:
        raise DamagedFile(shard.name, f"holds maps of shape {maps.shape}, the manifest says {shape}")
    return maps


def _pool(index: Location, shards: list[ShardInfo]) -> ShardPool:
    """The shards. Not a method: a generation that held itself would keep its files open for longer."""
    return ShardPool(lambda number: open_listed(shards[number], index.__truediv__), len(shards), shards_at_once(shards))
