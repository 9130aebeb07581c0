"""The outputs of a network that can be explained, and their names."""

from indexer.errors import InvalidRequest, NotFound
from indexer.query.index import Index
from indexer.query.learning.answering.outputs import Outputs, categories_of, named_outputs, output_layer, outputs_named


def layer_of_outputs(index: Index) -> str:
    """The layer that holds the network's outputs, be it one or many.

    Raises
    ------
    NotFound
        It is not indexed.
    """
    recorded = index.manifest.output
    if recorded is not None and recorded in index.layers and index.layer(recorded).info.cells == 1:
        return recorded
    return output_layer(index) or named_outputs(index).layer  # which raises


def answering_outputs(index: Index) -> Outputs:
    """The outputs of a network that chooses between answers.

    Raises
    ------
    NotFound
        They are not indexed.
    InvalidRequest
        There is one only.
    """
    layer = layer_of_outputs(index)
    if index.layer(layer).info.channels == 1:
        raise InvalidRequest(f"the network has one output, layer {layer}, so there are no answers to compare")
    return named_outputs(index)


def output_names(index: Index) -> list[str]:
    """What each output is called: its category, or, where categories are not known, its class or its number.

    Raises
    ------
    NotFound
        The network's output is not indexed.
    """
    layer = layer_of_outputs(index)
    channels = index.layer(layer).info.channels
    if channels == 1:  # which is no choice between answers, so that no class is matched with it
        return categories_of(index, 1) or ["0"]
    return named_outputs(index).names


def output_named(index: Index, text: str) -> int:
    """The output that a person means: by its number, the name of its class, or its own name.

    Raises
    ------
    NotFound
        There is none.
    InvalidRequest
        Several have this name.
    """
    names = output_names(index)
    if text.isascii() and text.isdigit():
        if int(text) >= len(names):
            raise NotFound(f"layer {layer_of_outputs(index)} has the outputs 0 to {len(names) - 1}, not {text[:20]}")
        return int(text)
    only = [0] if names == [text] else []  # no class stands for the only output of a network
    named = outputs_named(index, named_outputs(index), text) if len(names) > 1 else only
    if len(named) > 1:
        numbers = ", ".join(map(str, named))
        raise InvalidRequest(f"{text!r} is the name of the outputs {numbers}; give the number of one")
    if not named:
        raise NotFound(
            f"{text[:100]!r} is neither the number nor the name of an output of {layer_of_outputs(index)}, nor a class "
            "that stands for one"
        )
    return named[0]
