"""What a job is: a request, and what has become of it."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
STATES: Final = ("queued", "running", "done", "failed", "cancelled", "lost")
ENDED: Final = ("done", "failed", "cancelled", "lost")
_ID_BYTES: Final = 12


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    kind : str
        The name of a kind of jobs, see `service.jobs.kinds.registry`.
    version : int
        Of the kind: counts up when the same question gets another result.
    index : str
        The index's name.
    state : str
        Digest of the manifest of the generation that is asked.
    generation : int
    parameters : dict
        Of JSON, with all defaults filled in.
    owner : str or None
        The name of the token that asked first.
    created : float
        Seconds since 1970.
    expires : float or None
        Of a job about an upload: when it goes with all that it has, once it has ended.
    """

    kind: str
    version: int
    index: str
    state: str
    generation: int
    parameters: dict[str, Any]
    owner: str | None = None
    created: float = field(default_factory=time.time)
    expires: float | None = None

    @property
    def id(self) -> str:
        """The same for the same question to the same generation, wherever; about an upload, for the same owner."""
        question: list[Any] = [self.kind, self.version, self.index, self.state, self.parameters]
        if self.expires is not None:
            question.append(self.owner)
        text = json.dumps(question, sort_keys=True, allow_nan=False)
        return hashlib.blake2b(text.encode(), digest_size=_ID_BYTES).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    state : str
    detail : str or None
        Why it has no result, for a person.
    started : float or None
    ended : float
    erased : bool
        The result was of a generation that is no longer served, and is erased.
    """

    state: State
    detail: str | None = None
    started: float | None = None
    ended: float = field(default_factory=time.time)
    erased: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Job:
    """A request and what has become of it.

    Attributes
    ----------
    request : Request
    state : str
    detail : str or None
        Why it failed, was cancelled or lost.
    done, total : int or None
        Steps; None before it runs, or while it does not know.
    cancelling : bool
        Somebody wants it to end, and it has not ended yet.
    started, ended : float or None
        Seconds since 1970.
    erased : bool
        See `Outcome`.
    """

    request: Request
    state: State
    detail: str | None = None
    done: int | None = None
    total: int | None = None
    cancelling: bool = False
    started: float | None = None
    ended: float | None = None
    erased: bool = False

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def has_expired(self) -> bool:
        expires = self.request.expires
        return expires is not None and expires <= time.time()
