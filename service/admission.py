"""Who may ask, and how often: for every operation that openapi.yaml puts under a security requirement."""

import math
from pathlib import Path

from flask import Request

from service.contract import Contract
from service.errors import TooManyRequests
from service.rates import Rates, network_of
from service.settings import Settings
from service.tokens import Tokens


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
        token = self._tokens.check(request.headers.get("Authorization"), roles) if self._tokens else None
        if not self._rates:
            return
        client = network_of(request.remote_addr or "") if token is None else f"token {token}"
        if wait := self._rates.take(client):
            seconds = math.ceil(wait)
            raise TooManyRequests(f"you have used your allowance up; try again in {seconds} s", seconds)
