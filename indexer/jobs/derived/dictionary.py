"""What a dictionary makes of the kept maps of a layer -> a layer of the index, without running the network.

1. ``learn_into(index, name, recipe)`` learns a dictionary and adds it; ``add_dictionary`` adds one that is there.
2. Each shard gets a further file with the encoded maps (`indexer.jobs.layers`), and the index a file of the dictionary.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from indexer.derive.generation import derive_and_publish
from indexer.dictionaries.learn import Recipe, learn_dictionary
from indexer.errors import DamagedFile, InvalidRequest
from indexer.index import layout
from indexer.index.configuration import Configuration, DictionaryFile, LayerInfo
from indexer.index.encoded_names import encoded_name
from indexer.index.lock import writing
from indexer.index.manifest import Manifest, read_manifest
from indexer.index.shard_info import ShardInfo, next_number
from indexer.jobs.layers import layer_names, refuse_full, with_parts
from indexer.jobs.plan import refuse_unfinished
from indexer.jobs.reporter import Reporter
from indexer.jobs.shard_file import write_shard
from indexer.jobs.written import written_shard
from indexer.network.encoding.encoders import Encoder
from indexer.network.encoding.files import Dictionary, read_dictionary, write_dictionary
from indexer.query.index import Index
from indexer.shards.listed import open_listed
from indexer.shards.reader import Shard
from indexer.shards.records import LayerBatch
from indexer.shards.reduce import reduce_maps
from indexer.shards.writer import ShardWriter
from indexer.store import atomic
from indexer.store.storage import Location, storage_at

_ROWS_AT_ONCE: Final = 32


def learn_into(index: Location, name: str, recipe: Recipe, reporter: Reporter | None = None) -> Manifest:
    """Learn a dictionary of a layer and add what it makes of every image, as the layer ``LAYER~NAME``.

    An interrupted run is taken up again by the same call.

    Raises
    ------
    InvalidRequest, NotFound
        The recipe does not suit the index; or there is a layer of this name.
    NotAnIndex, IndexBusy, NotInstalled
    """
    reporter = reporter or Reporter()
    _check_new(read_manifest(index), encoded_name(recipe.layer, name))
    kept = _left_by_interrupted(index, name, recipe)
    if kept is None:
        reporter.stage(f"learning {recipe.components} directions of {recipe.layer}")
        with Index(index) as opened:
            kept = learn_dictionary(opened, recipe)
    return add_dictionary(index, recipe.layer, name, kept, reporter)


def add_dictionary(
    index: Location, layer: str, name: str, dictionary: Dictionary, reporter: Reporter | None = None
) -> Manifest:
    """Add what a dictionary makes of every image, as the layer ``LAYER~NAME``.

    Raises
    ------
    InvalidRequest
        The dictionary is not for vectors of the layer; or there is a layer of this name.
    NotFound
        The index has no such layer.
    NotAnIndex, IndexBusy, DamagedFile, BadActivations
    """
    reporter = reporter or Reporter()
    encoded = encoded_name(layer, name)
    with writing(index):
        manifest = read_manifest(index)
        refuse_unfinished(index, manifest)
        _check_new(manifest, encoded)
        info = _encoded_info(_info_of(manifest, layer), encoded, dictionary.encoder)
        info = replace(info, dictionary=_write(index, encoded, dictionary))
        added = replace(manifest.configuration, layers=(info,), keep_images=False)
        reporter.total(sum(shard.rows for shard in manifest.shards))
        first = next_number(manifest.shards)
        made = [
            _encoded_shard(index, added, layer, dictionary.encoder, shard, number, reporter.progress)
            for number, shard in enumerate(manifest.shards, start=first)
        ]
        grown = with_parts(manifest, made, added)
        return derive_and_publish(index, grown, reporter.stage, unchanged=layer_names(manifest.configuration))


def _check_new(manifest: Manifest, encoded: str) -> None:
    if encoded in layer_names(manifest.configuration):
        raise InvalidRequest(f"the index has the layer {encoded!r} already; drop it first, or choose another name")
    refuse_full(manifest)


def _info_of(manifest: Manifest, layer: str) -> LayerInfo:
    for info in manifest.configuration.layers:
        if info.name == layer:
            return info
    raise InvalidRequest(
        f"the index has no layer {layer!r}; it has {', '.join(sorted(layer_names(manifest.configuration)))}"
    )


def _encoded_info(base: LayerInfo, encoded: str, encoder: Encoder) -> LayerInfo:
    if encoder.dimensions != base.channels:
        raise InvalidRequest(
            f"the dictionary is for vectors of {encoder.dimensions} activations, and layer {base.name} has "
            f"{base.channels} neurons"
        )
    return replace(base, name=encoded, channels=encoder.components, layout=None)


def _file(encoded: str) -> str:
    return f"{layout.DICTIONARIES}/{layout.layer_file(encoded, '.safetensors')}"


def _write(index: Location, encoded: str, dictionary: Dictionary) -> DictionaryFile:
    (index / layout.DICTIONARIES).mkdir(exist_ok=True)
    file = _file(encoded)
    with atomic.publishing(index / file) as partial:
        write_dictionary(partial, dictionary)
    recipe = {"method": dictionary.encoder.method, **dictionary.recipe}
    return DictionaryFile(file, atomic.file_sha256(index / file), json.dumps(recipe, sort_keys=True))


def _left_by_interrupted(index: Location, name: str, recipe: Recipe) -> Dictionary | None:
    """The dictionary that an interrupted run of the same recipe has learned, if there is one."""
    file = _file(encoded_name(recipe.layer, name))
    if not (index / file).is_file():
        return None
    try:
        kept = read_dictionary(storage_at(index / file).local_file(file), file)
    except DamagedFile:
        return None
    same = all(kept.recipe.get(key) == value for key, value in recipe.as_dict().items())
    return kept if same else None


def _encoded_shard(
    index: Location,
    added: Configuration,
    layer: str,
    encoder: Encoder,
    info: ShardInfo,
    number: int,
    progress: Callable[[int], None],
) -> ShardInfo:
    existing = written_shard(index, number, added, info.first_id, info.end_id)
    if existing is not None and existing.rows == info.rows:
        progress(info.rows)
        return existing
    (encoded,) = added.layers
    with open_listed(info, index.__truediv__) as shard:
        images = shard.images()

        def fill(writer: ShardWriter) -> None:
            for first in range(0, shard.rows, _ROWS_AT_ONCE):
                rows = range(first, min(first + _ROWS_AT_ONCE, shard.rows))
                paths = [images[row].path for row in rows]
                writer.add([images[row] for row in rows], {encoded.name: _batch(shard, layer, encoder, rows, paths)})
                progress(len(rows))

        return write_shard(index, added, number, info.first_id, info.end_id, fill)


def _batch(shard: Shard, layer: str, encoder: Encoder, rows: range, paths: list[str]) -> LayerBatch:
    maps = np.stack([shard.maps(layer, row) for row in rows])
    with torch.inference_mode():
        return reduce_maps(layer, encoder(torch.from_numpy(maps)), paths)
