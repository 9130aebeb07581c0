"""Ratios measured side by side: the ways to do a thing take turns, and every round gives one ratio."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One measured thing beside its reference: seconds of each round, in the order they were taken."""

    name: str
    reference: list[float]
    measured: list[float]
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self.measured, self.reference, strict=True)]

    def line(self) -> str:
        ratios = self.ratios
        return (
            f"| {self.name} | {statistics.median(self.reference):.3f} | {statistics.median(self.measured):.3f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {self.note} |"
        )


def rounds(*measures: Callable[[int], float]) -> list[list[float]]:
    """What each gives in each of `ROUNDS` rounds, in which they take turns, after one round that is not counted.

    They are told the number of the round.
    """
    taken = [[measure(number) for measure in measures] for number in range(ROUNDS + 1)]
    return [list(of_one) for of_one in zip(*taken[1:], strict=True)]


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(*ways: Callable[[], object]) -> list[list[float]]:
    """Wall seconds of each, as `rounds` has them."""
    return rounds(*(lambda number, work=work: seconds(work) for work in ways))


def heading(title: str) -> None:
    """Print the head of a Markdown table; `Row.line` is what follows, as soon as it is measured."""
    print(f"\n{title}\n\n| what | reference (s) | unitscope (s) | ratio: median (spread) | |")
    print("| --- | --- | --- | --- | --- |", flush=True)


def write_records(found: Sequence[Any], out: Path) -> None:
    """Write dataclasses as a list in JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(each) for each in found], indent=1))


def write(title: str, rows: list[Row], out: Path) -> None:
    """Write the figures as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    figures = [asdict(row) for row in rows]
    out.write_text(json.dumps({"title": title, "machine": machine, "rows": figures}, indent=1))
