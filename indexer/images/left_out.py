"""Words for a person about the files that a job leaves out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from indexer.images.reading import HEIC_ENDINGS, can_read_heic

_SHOWN: Final = 6
_REASONS: Final = 3


def endings_line(endings: Mapping[str, int]) -> str:
    """Say how many files were left out, by ending, and how to have them read.

    Parameters
    ----------
    endings : mapping of str to int
        See `indexer.images.folder.Found`.
    """
    ordered = sorted(endings.items(), key=lambda pair: (-pair[1], pair[0]))
    parts = [f"{count} {ending}" if ending else f"{count} without an ending" for ending, count in ordered[:_SHOWN]]
    if rest := ordered[_SHOWN:]:
        parts.append(f"{sum(count for _, count in rest)} of {len(rest)} other endings")
    heic = sum(endings.get(ending, 0) for ending in HEIC_ENDINGS)
    hint = ""
    if heic and not can_read_heic():
        hint = f"; to read the {heic} {'file' if heic == 1 else 'files'} of HEIC, install unitscope[heic]"
    return f"left out by the ending of their names: {', '.join(parts)}{hint}"


def none_usable(skipped: Sequence[tuple[str, str]]) -> str:
    """Say that no image could be used, with the most frequent reasons and an example of each.

    Parameters
    ----------
    skipped : sequence of (str, str)
        Path and reason of every image.
    """
    examples: dict[str, str] = {}
    for path, reason in skipped:
        examples.setdefault(reason, path)
    counts = Counter(reason for _, reason in skipped).most_common()
    parts = [f"{count} x {reason}, such as {examples[reason]}" for reason, count in counts[:_REASONS]]
    if rest := counts[_REASONS:]:
        parts.append(f"{sum(count for _, count in rest)} for {len(rest)} other reasons")
    return f"none of the {len(skipped)} images could be used: {'; '.join(parts)}"
