"""Top patches as a data set in COCO's format, for the tools that read it.

::

    OUT/labels.json        images, a category for each neuron, a box for each patch (its receptive field)
    OUT/data/000342.jpg    the images, upright, named by id
    OUT/crops/412/01.jpg   the patches alone, by neuron and rank
    OUT/made/412.png       the image made for the neuron, if there is one; its category has the path as ``made``

FiftyOne reads the folder as a ``COCODetectionDataset``, pycocotools and torchvision's ``CocoDetection`` read
``labels.json`` and ``data``. A box carries more than COCO asks for: ``score`` (the activation as a share of the
neuron's highest), ``activation``, ``percentile``, ``rank``, the cell ``y``, ``x``, and ``crop``, the path of its
picture. A category has the neuron's scores, where its layer has any. Where the layer has effective receptive fields
(sampled), ``effective_bbox`` is the patch's; crops show it if that was asked for. An image whose original is gone or
has changed is a grey placeholder, and has ``missing``: true.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from indexer.defaults import Field
from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.pictures.crop import crop, encode
from indexer.pictures.framed import framed
from indexer.pictures.lost import LostOriginals, placeholder
from indexer.pictures.mask import Mask, unmasked
from indexer.query.index import Index
from indexer.query.learning.answering.outputs import NeuronNames
from indexer.query.learning.neurons import scored_by, scores_of
from indexer.query.records import ImageRecord, Patch
from indexer.shards.format import LEAST_POSITIVE
from indexer.store import atomic
from indexer.synthesis.kept import kept_optimal

DATA, CROPS, MADE, LABELS = "data", "crops", "made", "labels.json"
Json = dict[str, Any]


def export_patches(
    index: Index,
    layer: str,
    neurons: Sequence[int],
    out: Path,
    *,
    top: int = 9,
    class_: str | None = None,
    field: Field = "exact",
    mask: Mask = unmasked,
    lost: LostOriginals | None = None,
) -> Json:
    """Write the ``top`` patches of each neuron, of different images. Returns the content of labels.json.

    The folder appears only when it is complete. A neuron that is active on fewer images has fewer boxes.

    Parameters
    ----------
    neurons : sequence of int
        Each neuron once.
    out : Path
        A folder that does not exist yet.
    class_ : str, optional
        Only images of this class.
    field : {"exact", "effective"}
        Which field the crops show. ``bbox`` is the receptive field in either case.
    mask : Mask
        Darkens what does not matter of each crop; see `indexer.pictures.mask`.
    lost : LostOriginals, optional
        Notes the originals that a placeholder stands for.

    Raises
    ------
    NotFound
        There is no such neuron, or the layer has no effective field.
    ImageUnavailable
        No original can be shown.
    DamagedFile
        An image made for a neuron is not what was written.
    InvalidRequest
        ``top`` is not positive, a neuron is named twice, or ``out`` exists.
    """
    if top < 1:
        raise InvalidRequest(f"top must be 1 or more, not {top}")
    index.check_field(layer, field)
    if out.exists():
        raise InvalidRequest(f"{out} exists; name a folder that does not exist yet, so that no file is lost")
    if len(set(neurons)) < len(neurons):
        twice = next(neuron for number, neuron in enumerate(neurons) if neuron in neurons[:number])
        raise InvalidRequest(f"neuron {twice} is named twice; name each once, as it is a category of its own")
    names = NeuronNames(index)
    maxima = index.layer(layer).statistics["maximum"]
    boxes: list[Json] = []
    crops: dict[int, list[tuple[Patch, str]]] = {}
    shown: dict[int, ImageRecord] = {}
    for category, neuron in enumerate(neurons, 1):
        patches = index.top_patches(layer, neuron, limit=top, class_=class_, min=LEAST_POSITIVE).items
        for rank, (patch, seen) in enumerate(zip(patches, framed(index, layer, patches, field), strict=True), 1):
            shown[patch.image.id] = patch.image
            boxes.append(_box(patch, category, len(boxes) + 1, rank, float(maxima[neuron])))
            crops.setdefault(patch.image.id, []).append((seen, boxes[-1]["crop"]))
    made = {neuron: kept.data for neuron in neurons if (kept := kept_optimal(index, layer, neuron)) is not None}
    labels: dict[str, Any] = {
        "info": {
            "description": f"{index.name}: the top {top} patches of neurons of {layer}, by unitscope",
            **scored_by(index, layer),
        },
        "licenses": [],
        "categories": [
            {
                "id": category,
                "name": _name(names, layer, neuron),
                "supercategory": layer,
                **_made(neuron, made),
                **scores_of(index, layer, neuron),
            }
            for category, neuron in enumerate(neurons, 1)
        ],
        "images": [_image(shown[id]) for id in sorted(shown)],
        "annotations": boxes,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    lost = LostOriginals() if lost is None else lost
    with atomic.publishing(out) as folder:
        _write_pictures(index, folder, shown.values(), crops, mask, lost)
        _write_made(folder, made)
        lost.check()
        for image in labels["images"]:
            if image["id"] in lost.images:
                image["missing"] = True
        (folder / LABELS).write_text(json.dumps(labels, indent=1), encoding="utf-8")
    return labels


def _made(neuron: int, made: Mapping[int, bytes]) -> Json:
    return {"made": f"{MADE}/{neuron}.png"} if neuron in made else {}


def _write_made(folder: Path, made: Mapping[int, bytes]) -> None:
    for neuron, data in made.items():
        file = folder / _made(neuron, made)["made"]
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)


def _name(names: NeuronNames, layer: str, neuron: int) -> str:
    """A neuron with its number, as two outputs may have one name."""
    category = names.of(layer, neuron)
    return f"{layer}/{neuron}" if category is None else f"{layer}/{neuron} {category}"


def _image(image: ImageRecord) -> Json:
    about = {"id": image.id, "file_name": f"{image.id:06d}.jpg", "width": image.width, "height": image.height}
    return {**about, "path": image.path, "class": image.class_}


def _box(patch: Patch, category: int, number: int, rank: int, maximum: float) -> Json:
    box = patch.box
    return {
        "id": number,
        "image_id": patch.image.id,
        "category_id": category,
        "bbox": _bbox(box),
        "area": box.width * box.height,
        "iscrowd": 0,
        "score": patch.activation / maximum,
        "activation": patch.activation,
        "percentile": patch.percentile,
        "rank": rank,
        "y": patch.y,
        "x": patch.x,
        "crop": f"{CROPS}/{patch.neuron}/{rank:02d}.jpg",
    } | ({} if patch.effective_box is None else {"effective_bbox": _bbox(patch.effective_box)})


def _bbox(box: Box) -> list[int]:
    return [box.left, box.top, box.width, box.height]


def _write_pictures(
    index: Index,
    folder: Path,
    images: Iterable[ImageRecord],
    crops: Mapping[int, Sequence[tuple[Patch, str]]],
    mask: Mask,
    lost: LostOriginals,
) -> None:
    """Write each image, and the crops of its patches to their paths."""
    (folder / DATA).mkdir(parents=True)
    for image in images:
        found = lost.picture(index, image)
        picture = found or placeholder(image.width, image.height)
        (folder / DATA / _image(image)["file_name"]).write_bytes(encode(picture, "JPEG"))
        for patch, path in crops[image.id]:
            shown = crop(picture, patch.box)
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(mask(patch, picture, shown, patch.box) if found else shown, "JPEG"))
