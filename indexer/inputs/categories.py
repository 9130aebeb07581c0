"""Names of a network's outputs, from a file."""

from pathlib import Path

from indexer.errors import InvalidRequest


def read_categories(path: Path) -> list[str]:
    """One name a line, in the order of the outputs.

    Raises
    ------
    InvalidRequest
        The file cannot be read, is not UTF-8, or has no line, or an empty one.
    """
    try:
        names = [line.strip() for line in path.read_text("utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} is not a readable text in UTF-8: {error}") from error
    if not names:
        raise InvalidRequest(f"{path} is empty; it must hold a name for each output of the network, one a line")
    if "" in names:
        raise InvalidRequest(f"{path} has no name in line {names.index('') + 1}; each line is the name of an output")
    return names


def check_categories(names: list[str], layer: str, outputs: int) -> None:
    """Refuse names that are not as many as the outputs.

    Raises
    ------
    InvalidRequest
    """
    if len(names) != outputs:
        raise InvalidRequest(
            f"there are {len(names)} categories, and the network's output, layer {layer}, has {outputs} channels; give "
            "a name for each, in their order"
        )
