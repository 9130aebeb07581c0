"""What a report suggests, in sentences: each names its evidence, and says "may" where it is a guess."""

from collections.abc import Iterator
from typing import Any

from indexer.query.learning.answering.outputs import ORDER

Json = dict[str, Any]

MANY_DEAD = 0.1
"""From this share of dead neurons on they are worth a sentence of advice."""

MANY_DENSE = 0.5
FEW_IMAGES = 20
"""AUCs of classes with fewer images are rough: over many neurons, high ones come by chance."""

_NAMED = 5


def findings(report: Json) -> list[str]:
    """Plain sentences about a report without its findings."""
    layers = report["layers"]
    sentences = [*_dead(layers), *_dense(layers), *_covered(report), *_confused(report), *_hinted(report)]
    sentences += _caveats(report)
    return sentences or ["Nothing stands out."]


def _dead(layers: list[Json]) -> Iterator[str]:
    for layer in layers:
        if not layer["dead"]:
            continue
        share = layer["dead"] / layer["neurons"]
        yield (
            f"{layer['layer']}: {layer['dead']} of {layer['neurons']} neurons ({_percent(share)}) are positive on no "
            "image."
            + (
                " They may be pruned, or a lower learning rate or another initialisation may keep them alive."
                if share >= MANY_DEAD
                else ""
            )
        )


def _percent(share: float) -> str:
    return "under 1%" if share < 0.01 else f"{share:.0%}"


def _dense(layers: list[Json]) -> Iterator[str]:
    last = layers[-1] if layers else None
    for layer in layers:
        share = layer["dense"] / layer["neurons"]
        if share < MANY_DENSE:
            continue
        if layer is last:
            yield (
                f"{layer['layer']}: {share:.0%} of the neurons fire about equally for nearly every class. In the last "
                "layer that means it tells classes apart badly: it may need more training, or other data."
            )
        else:
            yield (
                f"{layer['layer']}: {share:.0%} of the neurons fire about equally for nearly every class, as is usual "
                "for early layers; judge the last layer."
            )


def _covered(report: Json) -> Iterator[str]:
    for layer in report["layers"]:
        about = layer["classes"]
        if about is None or not about["uncovered"]:
            continue
        named = [one["class"] for one in about["least_covered"] if not one["covered"]]
        more = about["uncovered"] - len(named[:_NAMED])
        yield (
            f"{layer['layer']}: {about['uncovered']} of {report['classes']} classes have no neuron of their own that "
            f"reaches an AUC of {report['auc']:g}; least covered: {', '.join(named[:_NAMED])}"
            f"{f' and {more} more' if more else ''}."
        )
    last = report["layers"][-1]["classes"] if report["layers"] else None
    if last is not None and last["uncovered"]:
        yield (
            "Classes that the last layer does not cover may have too few or too varied images in training, or be known "
            "only by several neurons together."
        )


def _confused(report: Json) -> Iterator[str]:
    about = report["confusion"]
    if about is not None:
        yield (
            f"The network answers {about['accuracy']:.1%} of {about['images']} images with their class "
            f"({len(about['classes'])} classes matched by {about['matched']})."
        )
        if about["matched"] == ORDER:
            yield (
                "Classes were matched with the network's outputs by their order, as was asked for. If a class was "
                "renamed, added or left out since training, this accuracy is false."
            )
        if about["most_confused"]:
            worst = about["most_confused"][0]
            yield (
                f"It answers {worst['class']} as {worst['answered']} most often: on {worst['images']} images, "
                f"{worst['share']:.1%} of the class."
            )
    last = report["layers"][-1] if report["layers"] else None
    if last is not None and last["classes"] is not None and report["classes"] > 2 and last["classes"]["most_alike"]:
        pair = last["classes"]["most_alike"][0]
        yield (
            f"{last['layer']} holds {pair['a']} and {pair['b']} most alike (cosine {pair['likeness']:.2f}); classes "
            "that are alike are those that may be confused."
        )


def _hinted(report: Json) -> Iterator[str]:
    if report["hints"]:
        yield (
            "Hints that the network may take something for a class that is no part of it: "
            f"{len(report['hints'])}. Look at their patches."
        )


def _caveats(report: Json) -> Iterator[str]:
    if report["classes"] < 2:
        yield "There are no two classes, so nothing can be said about what the neurons tell apart."
    elif report["smallest_class"] < FEW_IMAGES:
        yield (
            f"Images in the smallest class: {report['smallest_class']}. With fewer than {FEW_IMAGES}, some neurons "
            "reach a high AUC by chance, and some classes look covered that are not."
        )
    if report["unlabelled_images"] and report["classes"]:
        yield f"Images without a class, which count for none: {report['unlabelled_images']}."
