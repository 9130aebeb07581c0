"""The errors of the service itself; those of an index are in `indexer.errors`."""

from dataclasses import asdict, dataclass

from indexer.errors import InvalidRequest, ModelUnavailable, UnitscopeError


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a request: where it is (path, query, body), its parameter, and what would be right."""

    where: str
    name: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        fields = asdict(self)
        return {"in": fields.pop("where"), **fields}

    def __str__(self) -> str:
        subject = "the body" if self.where == "body" and not self.name else f"{self.where} parameter {self.name}"
        return f"{subject} {self.detail}"


class ContractViolation(InvalidRequest):
    """A request that openapi.yaml does not allow; ``faults`` lists everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults


class GenerationReplaced(UnitscopeError):
    """The generation of an index that a request is about is not served."""


class LengthMissing(UnitscopeError):
    """A body without its length: a body that was cut short would look the same."""


class UnsupportedBody(UnitscopeError):
    """A body of a type that the route does not take."""


class IndexUnavailable(UnitscopeError):
    """An index that is served but cannot answer now."""


class TryLater(UnitscopeError):
    """The request cannot be answered now, but can be later.

    Attributes
    ----------
    retry_after : int
        Seconds after which another try is worth it.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Busy(TryLater):
    """The queue for the network is full."""


class NotAuthenticated(UnitscopeError):
    """A request that needs a known token, and carries none.

    Attributes
    ----------
    given : bool
        Whether it carried a token at all.
    """

    def __init__(self, message: str, *, given: bool) -> None:
        super().__init__(message)
        self.given = given


class NotAllowed(UnitscopeError):
    """A token that does not allow this request."""


class HostUnknown(UnitscopeError):
    """A request that would change something, under a name or from a page that is not known."""


class OnlyFromHere(UnitscopeError):
    """A request that only this machine may make, as the service has no tokens."""


class JobsUnavailable(UnitscopeError):
    """Jobs cannot be taken or looked at: there is no folder for their results. The message names the setting."""


class NotesUnavailable(UnitscopeError):
    """Notes are off, or their database does not answer. The message names the setting."""


class RevisionReplaced(UnitscopeError):
    """Somebody has changed meanwhile what a request would change."""


class RevisionMissing(UnitscopeError):
    """A change without the revision that its author has seen."""


class ResultGone(UnitscopeError):
    """A result of a generation that is no longer served; the message says how to get one of the present one."""


class TooManyRequests(TryLater):
    """A client has used its allowance up."""


class NetworkLost(TryLater, ModelUnavailable):
    """The process that ran the network ended in the middle of a request."""
