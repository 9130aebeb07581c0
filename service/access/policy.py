"""Who may ask, and how often: for every operation that openapi.yaml puts under a security requirement."""

import math
from pathlib import Path

from flask import Request, g

from service.access.addresses import is_loopback
from service.access.hosts import Hosts
from service.access.rate_limit import Rates, network_of
from service.access.tokens import RUN, WRITE, Tokens
from service.errors import NotAllowed, NotAuthenticated, OnlyFromHere, TooManyRequests
from service.http.contract import Contract
from service.settings import Settings


class Admission:
    """The tokens and rates of a service, as far as its settings ask for them.

    A client is a token, or an address where there are none.

    Parameters
    ----------
    shared : Path, optional
        A folder that the processes of this service share, and nobody else.
    """

    def __init__(self, settings: Settings, contract: Contract, shared: Path | None = None) -> None:
        self._roles = {operation.id: operation.roles for operation in contract.operations}
        self._hosts = Hosts(settings)
        self._tokens = Tokens(settings.tokens) if settings.tokens else None
        self._rates = Rates(settings.rate, settings.burst, shared and shared / "rates") if settings.rate else None

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises
        ------
        HostUnknown, OnlyFromHere, NotAuthenticated, NotAllowed, TooManyRequests
        """
        self._hosts.check(request)
        roles = self._roles.get(request.endpoint or "")
        if roles is None:
            return
        if self._tokens:
            token = self._tokens.of(request.headers.get("Authorization"))
            g.token = token.name  # for the log, also where it is refused
            token.check(roles)
        elif WRITE in roles and not is_loopback(request.remote_addr or ""):
            raise OnlyFromHere("without --tokens, notes are written only from the machine that the service runs on")
        elif RUN in roles and not is_loopback(request.remote_addr or ""):
            raise OnlyFromHere(
                "without --tokens, jobs are run and ended only from the machine that the service runs on"
            )
        if not self._rates:
            return
        client = f"token {g.token}" if self._tokens else network_of(request.remote_addr or "")
        if wait := self._rates.take(client):
            seconds = math.ceil(wait)
            raise TooManyRequests(f"you have used your allowance up; try again in {seconds} s", seconds)

    def owner(self, request: Request) -> str | None:
        """The name of the token that a request carries; None where there are no tokens."""
        return self._tokens.of(request.headers.get("Authorization")).name if self._tokens else None

    def may_read_upload(self, request: Request, owner: str | None) -> bool:
        """Whether a request may see the job about an upload that a token of this name made."""
        if not self._tokens:
            return is_loopback(request.remote_addr or "")
        return self.owner(request) == owner

    def may_end(self, request: Request, owner: str | None) -> bool:
        """Whether a request may cancel or delete the job that a token of this name made."""
        if not self._tokens:
            return is_loopback(request.remote_addr or "")
        token = self._tokens.of(request.headers.get("Authorization"))
        return WRITE in token.powers or (RUN in token.powers and owner == token.name)

    def check_end(self, request: Request, owner: str | None) -> None:
        """Refuse to end a job of somebody else's.

        Raises
        ------
        NotAllowed
        """
        if not self.may_end(request, owner):
            raise NotAllowed("this job was made with another token; only that one, or one with write, may end it")

    def is_stranger(self, request: Request) -> bool:
        """Whether a request that needs no token comes from somebody who has none, where others need one."""
        if not self._tokens:
            return False
        try:
            g.token = self._tokens.of(request.headers.get("Authorization")).name
        except NotAuthenticated:
            return True
        return False
