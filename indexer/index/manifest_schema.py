"""The JSON Schema of manifest.json: types, and bounds that keep a hostile manifest from claiming endless resources."""

from typing import Any, Final

import jsonschema_rs

from indexer.defaults import MOST_SCORE_PATCHES, OUTPUT_KINDS, SCORE_POOLS
from indexer.images.input_size import MAX_CHANNELS
from indexer.index.configuration import MAX_SIDE
from indexer.index.shard_info import MAX_PARTS

_COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_TEXT: Final = {"type": "string", "maxLength": 4096}
_SHA256: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SIDE: Final = {"type": "integer", "minimum": 1, "maximum": MAX_SIDE}
_PIXEL: Final = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_FILES: Final = {"type": "object", "additionalProperties": _TEXT, "maxProperties": 100_000}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _or_with(schema: dict[str, Any], **optional: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": schema["properties"] | optional}


def _list(items: dict[str, Any], length: int | None = None) -> dict[str, Any]:
    bounds = {} if length is None else {"minItems": length, "maxItems": length}
    return {"type": "array", "items": items, **bounds}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_AXIS: Final = _object(
    intervals={**_list(_list(_PIXEL, 2)), "maxItems": 65536},
    **{name: _or_null(_PIXEL) for name in ("size", "stride", "start")},
)
_FIELD: Final = _object(
    kind={"enum": ["exact", "measured", "whole input", "unsupported"]},
    reason=_or_null(_TEXT),
    y=_or_null(_AXIS),
    x=_or_null(_AXIS),
)
_PREPROCESSING: Final = _or_with(
    _object(
        resize=_or_null({**_list(_SIDE), "minItems": 1, "maxItems": 2}),
        crop=_or_null(_list(_SIDE, 2)),
        interpolation=_TEXT,
        mean={**_list({"type": "number"}), "minItems": 1, "maxItems": MAX_CHANNELS},
        std={**_list({"type": "number", "exclusiveMinimum": 0}), "minItems": 1, "maxItems": MAX_CHANNELS},
    ),
    value_range=_list({"type": "number"}, 2),
    channels={"type": "integer", "minimum": 1, "maximum": MAX_CHANNELS},
)
_CONFIGURATION: Final = _object(
    model=_or_with(
        _object(name=_TEXT, weights=_TEXT, weights_digest=_TEXT),
        precision=_TEXT,
        arguments={"type": "object", "maxProperties": 1000},
        weights_key=_TEXT,
        strip_prefix=_TEXT,
        strict={"type": "boolean"},
    ),
    preprocessing=_PREPROCESSING,
    layers=_list(
        _or_with(
            _object(name=_TEXT, channels=_SIDE, height=_SIDE, width=_SIDE, receptive_field=_FIELD),
            layout={"type": "string", "maxLength": 64},
            dictionary=_object(file=_TEXT, sha256=_SHA256, recipe={"type": "object", "maxProperties": 100}),
        )
    ),
    keep_images={"type": "boolean"},
)
_VECTORS: Final = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {"probes": {**_SIDE, "maximum": 2**24}, "candidates": {**_SIDE, "maximum": 100}},
    },
}
_PART: Final = _object(file=_TEXT, sha256=_SHA256, layers=_list(_TEXT), configuration=_SHA256)
_SHARD: Final = _or_with(
    _object(file=_TEXT, rows=_COUNT, sha256=_SHA256, first_id=_COUNT, end_id=_COUNT, skipped=_COUNT),
    configuration=_SHA256,
    parts={**_list(_PART), "maxItems": MAX_PARTS},
)
_REQUIRED: Final = _object(
    generation=_COUNT,
    image_root=_TEXT,
    next_id=_COUNT,
    shard_size={**_COUNT, "minimum": 1},
    batch_size={**_COUNT, "minimum": 1},
    categories=_list(_TEXT),
    removed=_list(_COUNT),
    skipped=_list(_list({"type": "string"}, 2)),
    images=_COUNT,
    derived=_FILES,
    checksums={**_FILES, "additionalProperties": _SHA256},
    vectors=_VECTORS,
    configuration=_CONFIGURATION,
    shards=_list(_SHARD),
)
_INTAKE: Final = _object(
    folder={"type": "boolean"},
    lists=_list(_or_with(_object(path=_TEXT), path_column=_TEXT, class_column=_TEXT)),
    follow_links={"type": "boolean"},
    max_pixels={"type": "integer", "minimum": 1, "maximum": 2**28},
)
SCHEMA: Final = _or_with(
    _REQUIRED,
    left_out=_list({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
    intake=_INTAKE,
    endings={"type": "object", "additionalProperties": _COUNT},
    output={"type": "string", "maxLength": 512},
    relabelled=_COUNT,
    told_outputs=_object(
        kind={"enum": [*OUTPUT_KINDS, None]},
        classes={"type": "object", "additionalProperties": _TEXT, "maxProperties": 100_000},
        by_order={"type": "boolean"},
    )
    | {"additionalProperties": False},
    scores={
        "type": "object",
        "maxProperties": 10_000,
        "additionalProperties": _object(
            by=_TEXT, patches={**_COUNT, "minimum": 2, "maximum": MOST_SCORE_PATCHES}, pool={"enum": list(SCORE_POOLS)}
        )
        | {"additionalProperties": False},
    },
)
_VALIDATOR: Final = jsonschema_rs.Draft202012Validator(SCHEMA, mask="the value")


def fault_of(data: Any) -> str | None:
    """The first fault of a parsed manifest, or None."""
    try:
        return _first_fault(data)
    except UnicodeEncodeError:
        return _first_fault(_in_utf8(data))


def _first_fault(data: Any) -> str | None:
    for error in _VALIDATOR.iter_errors(data):
        return f"{'/'.join(map(str, error.instance_path))[:200]}: {error.message[:200]}"
    return None


def _in_utf8(data: Any) -> Any:
    """The same data with bytes that are not UTF-8 replaced, as the validator cannot take them."""
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode()
    if isinstance(data, dict):
        return {_in_utf8(name): _in_utf8(value) for name, value in data.items()}
    return [_in_utf8(value) for value in data] if isinstance(data, list) else data
