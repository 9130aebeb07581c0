"""A note as it is at one time, and a change of it."""

from dataclasses import dataclass, field
from typing import Any, Final

from service.notes.about.subjects import LIST, Subject

State = dict[str, Any]
_NOTHING: Final[State] = {"name": None, "text": "", "tags": [], "votes": {}}
_NO_LIST: Final[State] = {"name": None, "text": "", "items": []}


def nothing(kind: str) -> State:
    """The state of what nobody has written about."""
    return dict(_NO_LIST if kind == LIST else _NOTHING)


@dataclass(frozen=True)
class Note:
    """A subject and its present state.

    Attributes
    ----------
    subject : Subject
    state : dict
        ``name``, ``text`` (Markdown), ``tags`` and ``votes`` (1 or -1 by the name of who gave it); of a list ``name``,
        ``text`` and ``items``.
    revision : int
        How often it was changed; 0 where nobody wrote about it.
    author : str or None
        Who changed it last, by the token's name; None where the service had no tokens.
    time : float or None
        When, in seconds since 1970.
    data : dict or None
        What the subject itself consists of: a direction's weights.
    id : int or None
        In this database.
    """

    subject: Subject
    state: State
    revision: int = 0
    author: str | None = None
    time: float | None = None
    data: State | None = None
    id: int | None = field(default=None, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written, or all of it was taken away."""
        return self.state == nothing(self.subject.kind)


@dataclass(frozen=True)
class Change:
    """One change: the revision that it made, by whom and when, and the states around it."""

    revision: int
    what: str
    author: str | None
    time: float
    before: State
    after: State
