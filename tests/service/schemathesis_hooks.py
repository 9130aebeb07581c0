"""What schemathesis has to know beyond openapi.yaml; loaded through SCHEMATHESIS_HOOKS.

JSON Schema says nothing about two query parameters together, nor which bytes are a picture. Requests that keep to the
document in every other way are made to keep to these rules too, so that the service must accept every one of them; and
they are sent to what the index under test holds, so that they reach past the 404.
"""

import io
import os
from collections import Counter
from typing import Any

import numpy as np
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode

INDEX = os.environ["SCHEMATHESIS_INDEX"]
LAYERS = os.environ["SCHEMATHESIS_LAYERS"].split(",")
CLASSES = os.environ["SCHEMATHESIS_CLASSES"].split(",")
JOB = os.environ.get("SCHEMATHESIS_JOB", "")
"""A job that has a result. It is looked at, and not ended."""
ALIKE = int(os.environ.get("SCHEMATHESIS_ALIKE") or 1 << 30)
"""How many requests may be wrong in the same way in the same parameter, in whichever operation; others are not sent."""
sent: Counter[tuple[object, ...]] = Counter()
NEURONS, IMAGES, HEIGHT, WIDTH = 64, 30, 5, 7
"""The index must have as many in each of its layers, but for cells of classifiers, which have one."""


def picture(width: int, height: int, mode: str, format: str) -> bytes:
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, format)
    return buffer.getvalue()


PICTURES = [picture(60, 40, "RGB", "PNG"), picture(33, 90, "L", "JPEG"), picture(50, 41, "P", "GIF")]
schemathesis.openapi.media_type("image/*", st.sampled_from(PICTURES), aliases=["image/png", "image/gif", "image/jpeg"])


@schemathesis.deserializer("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp")
def decode(context: Any, response: Any) -> str:
    """A picture that is sent can be decoded; its size, as text."""
    if len(response.content) < int(response.headers["content-length"][0]):
        return ""  # to HEAD, or one of those that schemathesis keeps the beginning of only
    with Image.open(io.BytesIO(response.content)) as image:
        image.load()
        return f"{image.width} x {image.height}"


@schemathesis.deserializer("application/octet-stream")
def load(context: Any, response: Any) -> str:
    """Points of an atlas can be read; their fields, as text."""
    if len(response.content) < int(response.headers["content-length"][0]):
        return ""  # to HEAD, or one of those that schemathesis keeps the beginning of only
    return str(np.load(io.BytesIO(response.content), allow_pickle=False).dtype.names)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Operations share their parameters, and one part of the service refuses wrong ones of all operations."""
    if case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE:
        return True
    said = case.meta.phase.data
    wrong = tuple(getattr(said, name, None) for name in ("scenario", "description", "parameter", "parameter_location"))
    sent[wrong] += any(wrong)
    return sent[wrong] <= ALIKE


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    if case.meta is not None and case.meta.generation.mode == GenerationMode.POSITIVE:
        if case.operation.method.lower() != "delete":
            aim(case.operation.path, case.path_parameters or {})
        if isinstance(case.query, dict):
            aim_query(case.operation.path, case.query)
        if case.headers is not None and "If-Match" in case.headers:
            case.headers["If-Match"] = "*"  # whatever is there
        if isinstance(case.body, dict) and case.media_type == "application/json":
            mend(case.operation.path, case.body)
        elif isinstance(case.body, dict):
            several = case.operation.path.endswith("/concept/lookup")
            case.body["image"] = PICTURES[:1] if several else PICTURES[0]
    return case


def aim(whole: str, path: dict[str, Any]) -> None:
    """Names and numbers that the index has."""
    choices = {"index": [INDEX], "layer": LAYERS, "class": CLASSES}
    if "job" in path and JOB:
        path["job"] = JOB
    sizes = {"neuron": NEURONS, "image": IMAGES, "y": HEIGHT, "x": WIDTH}
    for name, value in path.items():
        if name == "layer" and (whole.endswith(("/why", "/groups")) or "atlas" in whole):
            # Not the outputs themselves; and one layer has an atlas and scores.
            path[name] = LAYERS[0]
        elif name in choices:
            path[name] = choices[name][len(str(value)) % len(choices[name])]
        elif name in sizes and isinstance(value, int):
            path[name] = value % sizes[name]
    if whole.endswith("/art"):  # another than the style's
        path["image"] = 0


def aim_query(path: str, query: dict[str, Any]) -> None:
    if path.endswith("/pair"):
        query |= {"a": CLASSES[0], "b": CLASSES[1]}
    elif path == "/v1/compare":
        query |= {"a": INDEX, "b": INDEX}
    elif path == "/v1/jobs" and "index" in query:
        query["index"] = INDEX
    elif "index" in query:
        query["index"] = [INDEX] * len(query["index"])
    elif "/note" in path:
        aim_note(path, query)
        return
    elif path.endswith("/point"):  # which lies on the picture
        query |= {"x": 20.5, "y": 12}
        return
    elif path.endswith(("/upload-fool", "/upload-dream", "/upload-art")):
        aim_upload(path, query)
        return
    elif path.endswith("atlas/patches"):
        query |= {"left": 0, "top": 0, "right": 1, "bottom": 1}
        return
    elif path.endswith("/proposals") and "neuron" in query:  # which is one of a layer
        query["layer"] = LAYERS[0]
        return
    elif path.endswith("/tiles.jpg"):  # so many lines times columns are refused
        query["rows"] = 1
    aim_mask(path, query)
    for name in ("layer", "layer_b"):
        if name in query:
            query[name] = LAYERS[len(str(query[name])) % len(LAYERS)]
    if path.endswith("/why") and "layer" in query:  # not the outputs; two that differ
        query |= {"layer": LAYERS[0], "for": "1"}
        drop(query, "against")
    if ("y" in query) != ("x" in query):  # a cell is both or neither
        drop(query, "y", "x")
    if "iou" in query:  # goes with all cells of an image
        query["per_image"] = "all"
        drop(query, "y", "x")
    if "offset" in query and (query.get("per_image") == "all" or "y" in query):
        query["offset"] = int(query["offset"]) % 10_000  # farther ones are refused
    if path.endswith("sheet.png"):  # so many tiles of such a size are refused
        query["size"] = 64
    if "rows" in query and "neurons" in query:  # times each other at most 50
        query["rows"] = 1
    edges = [name for name in ("left", "top", "right", "bottom") if name in query]
    if 0 < len(edges) < 4:  # a box is all four or none
        for name in edges:
            del query[name]
    elif edges:
        query |= {"left": 1, "top": 2, "right": 30, "bottom": 31, "layer": LAYERS[0]}
        drop(query, "against_class", "against_images", "unlike")  # which are for whole images
    if "against_class" in query:
        query["against_class"] = CLASSES[0]
        drop(query, "against_images")
    if "against_images" in query:
        query["against_images"] = "0,1"
    if "unlike" in query:  # a lower one may leave nothing
        query["unlike"] = 1


def aim_upload(path: str, query: dict[str, Any]) -> None:
    """What may be asked about an image that is sent, and takes little time."""
    drop(query, "target", "neuron")
    query |= {"other": 1, "style_layer": LAYERS[:1]} if path.endswith("/upload-art") else {}
    query |= {} if path.endswith("/upload-fool") else {"layer": LAYERS[0], "steps": 1}


def aim_mask(path: str, query: dict[str, Any]) -> None:
    """The network runs for each masked patch, so they are few; no layer has effective fields."""
    masked = query.get("mask") in (True, "true")
    if "field" in query:
        query["field"] = "exact"
    if path.endswith("/patch.jpg"):
        drop(query, "neuron")
        query |= {"neuron": 1} if masked else {}
    elif masked:
        query |= {"columns": 1, "rows": 1}


def aim_note(path: str, query: dict[str, Any]) -> None:
    """A note is about one thing: the neuron of a layer, a cell of its map, an image or a class; a vote needs a note."""
    if path.endswith("/notes"):
        return
    drop(query, "direction")  # of which there are none before one is kept
    if "image" in query and "vote" not in path:
        query["image"] = int(query["image"]) % IMAGES
        drop(query, "layer", "neuron", "y", "x", "class")
    elif "class" in query and "vote" not in path:
        query["class"] = CLASSES[0]
        drop(query, "layer", "neuron", "y", "x", "image")
    else:
        drop(query, "y", "x", "image", "class")
        query |= {"layer": LAYERS[0], "neuron": 0}


def mend(path: str, body: dict[str, Any]) -> None:
    if path.endswith("atlas/selection"):  # some points, and not all
        body["polygon"] = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
        return
    if path.endswith("/proposals/refusal"):  # of which there are none
        return
    if path.endswith("/what-if"):
        mend_what_if(body)
    elif path.endswith("/why"):
        body["sample"] = 1
        if body.get("images") is not None:  # instead of a class and what it is answered as
            body["images"] = sorted({int(image) % IMAGES for image in body["images"]})
            body |= {"class": None, "answered": None}
        else:
            body |= {"class": CLASSES[0], "answered": None}
        body |= {"for": "1", "against": None}
    elif path.endswith("/importance"):
        body["images"] = 2  # which takes little time
        body["neurons"] = [int(number) % NEURONS for number in body.get("neurons") or [0]][:1]
    elif path.startswith("/v1/lists/"):
        for item in body.get("items", []):
            remark = {"remark": item["remark"]} if "remark" in item else {}
            item.clear()
            item |= {"index": INDEX, "class": CLASSES[0], **remark}
    elif path.endswith("/directions"):
        body["layer"] = LAYERS[0]
        body["weights"] = {str(int(key) % NEURONS): value for key, value in body["weights"].items()} | {"1": 1}
    elif "/note" in path:
        if "revision" in body:
            body["revision"] = 0
    elif path.endswith("/make"):
        body |= {"layer": LAYERS[0], "neurons": [0], "steps": 1}
    elif path.endswith("/fool"):
        body["target"] = None
    elif path.endswith("/dream"):
        body |= {"layer": LAYERS[0], "neurons": None, "steps": 1}
    elif path.endswith("/art"):
        body |= {"style": 1, "layer": LAYERS[0], "style_layers": LAYERS[:1], "steps": 1}
    else:
        mend_question(body)


def mend_what_if(body: dict[str, Any]) -> None:
    body["layer"] = LAYERS[0]
    body["edits"] = body["edits"][:1]  # several may name one neuron
    for edit in body["edits"]:
        edit["neuron"] %= NEURONS
        if edit.get("how") in ("scale", "clamp"):
            edit["value"] = edit.get("value") or 0.5
        else:
            drop(edit, "value")
    if body.get("class") is not None:
        body["class"] = CLASSES[0]


def mend_question(body: dict[str, Any]) -> None:
    body["layer"] = LAYERS[len(str(body["layer"])) % len(LAYERS)]
    if "weights" in body:
        body["weights"] = {str(int(key) % NEURONS): value for key, value in body["weights"].items()}
        if all(abs(value) < 1e-30 for value in body["weights"].values()):  # they are kept as float32
            body["weights"]["1"] = 1
        return
    if "unlike" in body:  # a lower one may leave nothing
        body["unlike"] = 1
    if "against" in body:  # others than those inside
        body |= {"against": {"class": CLASSES[1]}, "class": CLASSES[0]}
        drop(body, "images", "image", "box")
    elif "class" not in body and "images" not in body:
        drop(body, "unlike")
    if "images" in body:  # one of three ways to name cells
        body["images"] = [int(number) % IMAGES for number in body["images"]]
        drop(body, "class", "image", "box")
    elif "class" in body:
        drop(body, "image", "box")
    else:
        body |= {"layer": LAYERS[0], "image": 3, "box": {"left": 1, "top": 2, "right": 60, "bottom": 61}}


def drop(values: dict[str, Any], *names: str) -> None:
    for name in names:
        values.pop(name, None)
