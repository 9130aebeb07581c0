"""What a person has said of a network's outputs: what their values are, and which class each stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ToldOutputs:
    """What is known of the outputs because somebody said so.

    Attributes
    ----------
    kind : str or None
        What the values are, one of `indexer.defaults.OUTPUT_KINDS`; None where their values must tell.
    classes : dict of str to str
        For some classes the category that each stands for: its name, or the number of its output.
    by_order : bool
        Classes stand for outputs in the order of their names, where there are as many.
    """

    kind: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    by_order: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "classes": dict(self.classes), "by_order": self.by_order}


NOTHING_TOLD = ToldOutputs()


@dataclass(frozen=True)
class Telling:
    """What somebody says now; None leaves what was said before."""

    kind: str | None = None
    classes: Mapping[str, str] | None = None
    by_order: bool | None = None

    def after(self, before: ToldOutputs) -> ToldOutputs:
        """What is known from now on; the kind "auto" makes values tell again."""
        kind = before.kind if self.kind is None else self.kind
        return ToldOutputs(
            None if kind == AUTO else kind,
            before.classes if self.classes is None else dict(self.classes),
            before.by_order if self.by_order is None else self.by_order,
        )


AUTO = "auto"
NOTHING_SAID = Telling()
