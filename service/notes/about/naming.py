"""Subjects by what they are called in an index: layer, neuron, cell, direction, image, class."""

from typing import Any, Final

from indexer.errors import InvalidRequest
from indexer.query.index import Index
from service.notes.about import subjects
from service.notes.about.subjects import Subject, layer_key

Json = dict[str, Any]
ONE_OF: Final = "give layer and neuron, with y and x for one cell; or layer and direction; or image; or class"


def subject_of(index: Index, name: str, given: Json) -> tuple[Subject, Json]:
    """The subject that is called so in an index of this name, and what it is called.

    Parameters
    ----------
    given : dict
        ``layer`` and ``neuron``, these with ``y`` and ``x``, ``layer`` and ``direction``, ``image``, or ``class``.

    Raises
    ------
    NotFound
        The index has no such thing.
    InvalidRequest
        It names nothing, or several things.
    """
    configuration = index.manifest.configuration
    match given:
        case {"layer": str(layer), "neuron": int(neuron), "y": int(y), "x": int(x)} if len(given) == 4:
            known = index.layer(layer)
            known.check_cell(y, x)
            subject = subjects.of_unit(configuration, known.info, known.check_neuron(neuron), y, x)
            about: Json = {"layer": layer, "neuron": neuron, "cell": {"y": y, "x": x}}
        case {"layer": str(layer), "neuron": int(neuron)} if len(given) == 2:
            known = index.layer(layer)
            subject = subjects.of_neuron(configuration, known.info, known.check_neuron(neuron))
            about = {"layer": layer, "neuron": neuron}
        case {"layer": str(layer), "direction": str(direction)} if len(given) == 2:
            subject = subjects.of_direction(configuration, index.layer(layer).info, direction)
            about = {"layer": layer, "direction": direction}
        case {"image": int(image)} if len(given) == 1:
            record = index.image(image)
            subject = subjects.of_image(record.sha256)
            about = {"image": image, "path": record.path, "class": record.class_}
        case {"class": str(class_)} if len(given) == 1:
            known_as = index.classes[index.images.code_of(class_)]
            subject, about = subjects.of_class(name, known_as), {"class": known_as}
        case _:
            raise InvalidRequest(ONE_OF)
    return subject, {"kind": subject.kind, **about}


def called(index: Index, name: str, subject: Subject) -> Json | None:
    """What a subject is called in an index of this name; None where that does not have it."""
    if subject.kind == subjects.IMAGE:
        id_ = index.images.id_of_digest(subject.item)
        return None if id_ is None else {"image": id_}
    if subject.kind == subjects.CLASS:
        return {"class": subject.item} if subject.scope == name else None
    configuration = index.manifest.configuration
    if subject.scope != configuration.weights_digest:
        return None
    layer = next((each.name for each in configuration.layers if layer_key(each) == subject.layer), None)
    if layer is None:
        return None
    numbers = {"neuron": subject.neuron, "y": subject.y, "x": subject.x, "direction": subject.item or -1}
    return {"layer": layer} | {key: value for key, value in numbers.items() if value != -1}
