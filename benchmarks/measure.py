"""Ratios measured side by side: the ways to do a thing take turns, and every round gives one ratio."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

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


def in_turn(reference: Callable[[], object], measured: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Wall seconds of both, one after the other, `ROUNDS` times after one round that is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for work, kept in zip((reference, measured), times, strict=True):
            started = time.perf_counter()
            work()
            if number:
                kept.append(time.perf_counter() - started)
    return times


def heading(title: str) -> None:
    """Print the head of a Markdown table; `Row.line` is what follows, as soon as it is measured."""
    print(f"\n{title}\n\n| what | reference (s) | unitscope (s) | ratio: median (spread) | |")
    print("| --- | --- | --- | --- | --- |", flush=True)


def write(title: str, rows: list[Row], out: Path) -> None:
    """Write the figures as JSON."""
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    figures = [asdict(row) for row in rows]
    out.write_text(json.dumps({"title": title, "machine": machine, "rows": figures}, indent=1))
