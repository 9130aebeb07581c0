"""Bearer tokens: a file of their hashes, and the command that makes one.

1. ``python -m service.tokens add FILE NAME [--upload] [--run] [--write]`` prints a new token, once, and appends its
   hash to the file.
2. ``python -m service INDEX --tokens FILE`` then asks every request under /v1 for one of them.

A line of the file is a name, its roles (``-`` for none) and a sha256 in hexadecimal; taking a line away takes the token
away, at once and without a restart. A token is 256 random bits, so a plain hash is enough: there is nothing to guess.
"""

import argparse
import hashlib
import hmac
import os
import re
import secrets
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import NotAllowed, NotAuthenticated

UPLOAD: Final = "upload"
READ: Final = "read"
RUN: Final = "run"
WRITE: Final = "write"
ROLES: Final = (UPLOAD, READ, RUN, WRITE)
_NO_ROLES: Final = "-"
_LINE: Final = re.compile(r"(\S{1,100}) (\S+) ([0-9a-f]{64})")
_BEARER: Final = re.compile(r"Bearer +([A-Za-z0-9._~+/=-]{1,256})", re.IGNORECASE)


class WrongTokens(ValueError):
    """A token file that cannot be used; the message says why."""


@dataclass(frozen=True)
class Token:
    """The owner's name, the roles that its line gives it, and its sha256."""

    name: str
    roles: frozenset[str]
    digest: bytes

    @property
    def powers(self) -> frozenset[str]:
        """All that it may do: every token may read, and one that may write may run."""
        return self.roles | {READ} | ({RUN} if WRITE in self.roles else set())

    def check(self, roles: frozenset[str]) -> None:
        """Refuse a request that needs other roles.

        Raises
        ------
        NotAllowed
            It lacks one of the roles.
        """
        if missing := roles - self.powers:
            raise NotAllowed(
                f"the token of {self.name} may not be used for this; it lacks {', '.join(sorted(missing))}"
            )


def read_tokens(file: Path) -> tuple[Token, ...]:
    """The tokens of a file.

    Raises
    ------
    WrongTokens
        The file cannot be read, or a line of it is malformed.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise WrongTokens(f"the token file {file} cannot be read") from error
    return tuple(_token(file, number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _token(file: Path, number: int, line: str) -> Token:
    parts = _LINE.fullmatch(line.strip())
    roles = frozenset(parts[2].split(",")) - {_NO_ROLES} if parts else frozenset()
    if not parts or not roles <= set(ROLES):
        raise WrongTokens(
            f"{file}, line {number}: must be a name, its roles ({', '.join(ROLES)} or {_NO_ROLES}) and a sha256"
        )
    return Token(parts[1], roles, bytes.fromhex(parts[3]))


class Tokens:
    """The tokens of a file that may change meanwhile. While the file cannot be read, nobody is let in.

    Raises
    ------
    WrongTokens
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._stamp = _stamp(file)
        self._tokens = read_tokens(file)

    def check(self, authorization: str | None, roles: frozenset[str]) -> str:
        """Whose token a request carries; raises as `of` and `Token.check` do."""
        token = self.of(authorization)
        token.check(roles)
        return token.name

    def of(self, authorization: str | None) -> Token:
        """The token that a request carries.

        Raises
        ------
        NotAuthenticated
            It carries none, or none that is known.
        """
        if authorization is None:
            raise NotAuthenticated("this needs a token: send it as Authorization: Bearer TOKEN", given=False)
        header = _BEARER.fullmatch(authorization.strip())
        token = self._find(header[1]) if header else None
        if token is None:
            raise NotAuthenticated("the token is not known here", given=True)
        return token

    def _find(self, text: str) -> Token | None:
        digest = hashlib.sha256(text.encode()).digest()
        # Every hash is compared, each in constant time: how long it takes tells nothing about any of them.
        matching = [token for token in self._current() if hmac.compare_digest(token.digest, digest)]
        return matching[0] if matching else None

    def _current(self) -> tuple[Token, ...]:
        stamp = _stamp(self._file)
        with self._lock:
            if stamp != self._stamp:
                try:
                    self._tokens = read_tokens(self._file)
                except WrongTokens:
                    self._tokens = ()
                self._stamp = stamp
            return self._tokens


def _stamp(file: Path) -> tuple[int, ...]:
    try:
        status = os.stat(file)
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino


def add(file: Path, name: str, roles: tuple[str, ...]) -> str:
    """Append a new token to a file, which only its owner may read; gives the token, which is kept nowhere.

    Raises
    ------
    WrongTokens
        The file cannot be used, or the name is malformed or taken.
    """
    if not re.fullmatch(r"[A-Za-z0-9._@-]{1,100}", name):
        raise WrongTokens(f"a name is 1 to 100 letters, digits and ._@-, not {name!r}")
    if file.exists() and name in [token.name for token in read_tokens(file)]:
        raise WrongTokens(f"{file} has a token for {name} already; take its line away first")
    token = secrets.token_urlsafe(32)
    line = f"{name} {','.join(roles) or _NO_ROLES} {hashlib.sha256(token.encode()).hexdigest()}\n"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise WrongTokens(f"{file} cannot be written") from error
    with open(descriptor, "a", encoding="utf-8") as out:
        out.write(line if _ends_a_line(file) else f"\n{line}")
    return token


def _ends_a_line(file: Path) -> bool:
    """Whether what is appended begins a line: an editor may have left out the last newline."""
    content = file.read_bytes()
    return not content or content.endswith(b"\n")


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit status is 2 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m service.tokens", description="Make a token for the service.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("add", help="print a new token and append its hash to a file")
    command.add_argument("file", type=Path, metavar="FILE", help="the file that --tokens names")
    command.add_argument("name", metavar="NAME", help="whose token it is, for the log")
    command.add_argument("--upload", action="store_true", help="it may send images too, not only ask")
    command.add_argument("--run", action="store_true", help="it may run jobs, and cancel its own")
    command.add_argument("--write", action="store_true", help="it may run jobs, and cancel and delete those of others")
    given = parser.parse_args(arguments)
    try:
        print(add(given.file, given.name, tuple(role for role in (UPLOAD, RUN, WRITE) if vars(given)[role])))
    except WrongTokens as error:
        print(f"unitscope: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
