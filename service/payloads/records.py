"""Records of the library -> JSON of the contract, flat and with links."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from indexer.derive.scores.file import Scores
from indexer.index.configuration import DictionaryFile, LayerInfo
from indexer.index.encoded_names import base_of
from indexer.index.score_recipe import ScoreRecipe
from indexer.query.learning.answering.outputs import NeuronNames
from indexer.query.learning.neurons import NeuronTable
from indexer.query.lookup import Lookup
from indexer.query.point import Spot
from indexer.query.records import Firing, ImageRecord, Patch, SimilarImage, SimilarPatch
from indexer.query.searching.concepts import Concept, Selective
from indexer.receptive_field import AxisField, ReceptiveField
from indexer.receptive_field.effective import HELD, EffectiveField
from service.http.paging import listing
from service.payloads import answers
from service.payloads.links import Links

Json = dict[str, Any]


def layer(
    links: Links, info: LayerInfo, dead: int, effective: EffectiveField | None, scores: Scores | None, by_text: bool
) -> Json:
    """A layer; ``by_text`` says whether texts find its neurons."""
    more = {"fires_for": links.fires_for(info.name)} if by_text else {}
    return {
        "layer": info.name,
        "channels": info.channels,
        "height": info.height,
        "width": info.width,
        "neurons": info.channels,
        "dead_neurons": dead,
        "receptive_field": receptive_field(info.field),
        **({} if effective is None else {"effective_field": _effective_field(effective)}),
        **({} if scores is None else {"scores": layer_scores(scores)}),
        "links": {"self": links.layer(info.name), "neurons": links.neurons(info.name)} | more,
    } | ({"dictionary": _dictionary(info, info.dictionary)} if info.dictionary else {})


def _dictionary(info: LayerInfo, dictionary: DictionaryFile) -> Json:
    """What is told of a dictionary: of a recipe, which may come from elsewhere, what is known to be a number."""
    about = dictionary.about()
    metrics = about.get("metrics", {})
    kept = {name: metrics[name] for name in ("r2", "l0", "dead", "stability", "vectors") if name in metrics}
    return {"layer": base_of(info.name), "method": str(about.get("method", "")), "metrics": kept}


def layer_scores(scores: Scores) -> Json:
    """How the scores of a layer's neurons were worked out."""
    between = {"between": None if np.isnan(scores.between) else scores.between}
    if isinstance(scores.recipe, ScoreRecipe):
        return {**asdict(scores.recipe), **between}
    about = asdict(scores.recipe)
    return {"by": scores.recipe.words, "patches": about.pop("patches"), "pool": "crop", **between, "encoder": about}


def _effective_field(field: EffectiveField) -> Json:
    """The median sides of the boxes, in input pixels, and what they were sampled on."""
    height, width = field.median_sides
    return {"held": HELD, "height": height, "width": width, "images": field.images, "seed": field.seed}


def receptive_field(field: ReceptiveField) -> Json:
    return {"kind": field.kind, "reason": field.reason, "y": _axis(field.y), "x": _axis(field.x)}


def _axis(axis: AxisField | None) -> Json | None:
    if axis is None:
        return None
    if len(axis.intervals) == 1:  # one cell has no distance to the next
        first, end = axis.intervals[0]
        return {"size": end - first, "stride": None, "start": first}
    return {"size": axis.size, "stride": axis.stride, "start": axis.start}


def neuron(links: Links, layer_name: str, number: int, table: NeuronTable) -> Json:
    """One row of a layer's statistics."""
    own = {
        "self": links.neuron(layer_name, number),
        "patches": links.patches(layer_name, number),
        "correlated": links.correlated(layer_name, number),
        "sheet": links.sheet(layer_name, number),
        "tiles": links.tiles(layer_name, number),
    }
    if table.layer.scores is not None:
        own["groups"] = links.groups(layer_name, number)
    return {"layer": layer_name, "neuron": number, **table.row(number), "links": own}


def image(links: Links, record: ImageRecord) -> Json:
    return {
        **_image(record),
        "width": record.width,
        "height": record.height,
        "sha256": record.sha256,
        "links": {
            "self": links.image(record),
            "file": links.file(record),
            "picture": links.picture(record),
            "neurons": links.firing(record),
            "answer": links.answer(record),
        },
    }


def patch(links: Links, record: Patch) -> Json:
    return {
        **_image(record.image),
        **_unit(record),
        "activation": record.activation,
        "percentile": record.percentile,
        **_boxes(record),
        "links": links.unit(record.image, record.layer, record.y, record.x, record.neuron),
    }


def firing(links: Links, names: NeuronNames, record: Firing) -> Json:
    """A neuron that fires on an indexed image."""
    assert record.image is not None
    own = links.unit(record.image, record.layer, record.y, record.x, record.neuron)
    return {**_image(record.image), **_firing(names, record), "links": own}


def upload_firing(links: Links, names: NeuronNames, record: Firing) -> Json:
    """A neuron that fires on an uploaded image."""
    own = {
        "neuron": links.neuron(record.layer, record.neuron),
        "patches": links.patches(record.layer, record.neuron),
    }
    return {**_firing(names, record), "links": own}


def spot(links: Links, names: NeuronNames, image: ImageRecord, record: Spot) -> Json:
    """The neurons of one layer that fire at a point of an indexed image."""
    cell_of_image = image, record.layer, record.y, record.x
    own = {"patch": links.patch(*cell_of_image), "similar": links.similar(*cell_of_image)}
    return {**_spot(record), "neurons": [firing(links, names, neuron) for neuron in record.firing.items], "links": own}


def upload_spot(links: Links, names: NeuronNames, record: Spot) -> Json:
    """The neurons of one layer that fire at a point of an uploaded image."""
    own = {"layer": links.layer(record.layer)}
    return {
        **_spot(record),
        "neurons": [upload_firing(links, names, neuron) for neuron in record.firing.items],
        "links": own,
    }


def similar_patch(links: Links, record: SimilarPatch) -> Json:
    cell_of_image = record.image, record.layer, record.y, record.x
    own = {
        "patch": links.patch(*cell_of_image),
        "image": links.image(record.image),
        "similar": links.similar(*cell_of_image),
    }
    return {
        **_image(record.image),
        "layer": record.layer,
        "cell": cell(record.y, record.x),
        "score": record.score,
        **_boxes(record),
        "links": own,
    }


def similar_image(links: Links, record: SimilarImage) -> Json:
    image = record.image
    own = {"image": links.image(image), "file": links.file(image), "picture": links.picture(image)}
    return {**_image(image), "score": record.score, "links": own}


def lookup(links: Links, names: NeuronNames, width: int, height: int, result: Lookup) -> Json:
    """The answer about an uploaded picture of this width and height."""
    return {
        "width": width,
        "height": height,
        "layer": result.layer,
        "cell": cell(result.y, result.x),
        "neurons": [upload_firing(links, names, record) for record in result.firing],
        "patches": [similar_patch(links, record) for record in result.patches],
        "images": [similar_image(links, record) for record in result.images],
        "answer": None if result.answer is None else answers.said(links, result.answer),
    }


def concept(links: Links, names: NeuronNames, result: Concept) -> Json:
    """Neurons that tell images, or cells, from the others."""
    page = result.neurons
    return {
        "compared": result.compared,
        "inside": result.inside,
        "outside": result.outside,
        "left_out": result.left_out,
        **listing(page, lambda record: selective(links, names, record)),
    }


def selective(links: Links, names: NeuronNames, record: Selective) -> Json:
    """A neuron and how it tells inside from outside."""
    category = names.of(record.layer, record.neuron)
    return {**asdict(record), "category": category, "links": _concept_links(links, record)}


def _concept_links(links: Links, record: Selective) -> Json:
    unit = record.layer, record.neuron
    return {"neuron": links.neuron(*unit), "patches": links.patches(*unit), "sheet": links.sheet(*unit)}


def class_(links: Links, name: str, images: int, layers: Iterable[str]) -> Json:
    """A class, and where it is told from others: the layers."""
    return {
        "class": name,
        "images": images,
        "layers": [{"layer": layer, "links": {"self": links.layer_class(layer, name)}} for layer in layers],
        "links": {"self": links.class_(name), "images": links.images(name)},
    }


def cell(y: int, x: int) -> Json:
    return {"y": y, "x": x}


def _image(record: ImageRecord) -> Json:
    return {"image": record.id, "path": record.path, "class": record.class_}


def _boxes(record: Patch | Firing | SimilarPatch | Spot) -> Json:
    """The receptive field, and the effective one where the layer has it."""
    effective = record.effective_box
    return {"box": record.box.as_dict()} | ({} if effective is None else {"effective_box": effective.as_dict()})


def _unit(record: Patch | Firing) -> Json:
    return {"layer": record.layer, "neuron": record.neuron, "cell": cell(record.y, record.x)}


def _firing(names: NeuronNames, record: Firing) -> Json:
    return {
        **_unit(record),
        "category": names.of(record.layer, record.neuron),
        "activation": record.activation,
        "percentile": record.percentile,
        "threshold": record.threshold,
        **_boxes(record),
    }


def _spot(record: Spot) -> Json:
    return {
        "layer": record.layer,
        "cell": cell(record.y, record.x),
        **_boxes(record),
        "total": record.firing.total,
    }
