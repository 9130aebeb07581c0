"""Who may ask, and how often: for every operation that openapi.yaml puts under a security requirement."""

import math
from pathlib import Path

from flask import Request, g

from service.access.rate_limit import Rates, network_of
from service.access.tokens import Tokens
from service.errors import NotAuthenticated, TooManyRequests
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
        self._tokens = Tokens(settings.tokens) if settings.tokens else None
        self._rates = Rates(settings.rate, settings.burst, shared and shared / "rates") if settings.rate else None

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises
        ------
        NotAuthenticated, NotAllowed, TooManyRequests
        """
        roles = self._roles.get(request.endpoint or "")
        if roles is None:
            return
        if self._tokens:
            token = self._tokens.of(request.headers.get("Authorization"))
            g.token = token.name  # for the log, also where it is refused
            token.check(roles)
        if not self._rates:
            return
        client = f"token {g.token}" if self._tokens else network_of(request.remote_addr or "")
        if wait := self._rates.take(client):
            seconds = math.ceil(wait)
            raise TooManyRequests(f"you have used your allowance up; try again in {seconds} s", seconds)

    def is_stranger(self, request: Request) -> bool:
        """Whether a request that needs no token comes from somebody who has none, where others need one."""
        if not self._tokens:
            return False
        try:
            g.token = self._tokens.of(request.headers.get("Authorization")).name
        except NotAuthenticated:
            return True
        return False
