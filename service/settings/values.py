"""Text -> the value of a setting, one function for each kind of value."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from indexer.store.storage import Location

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
"""A plain path, which a link may begin with."""
_HOST = re.compile(r"\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


class WrongSetting(ValueError):
    """A setting has a value that is not allowed. The message names the setting and the value, and what is allowed."""


def location(text: str) -> "Location":
    if "://" not in text:
        return Path(text)
    # Here, because the process that starts the others does not need it.
    from indexer.store.remote import parse_location

    return parse_location(text)


_DATABASE = re.compile(r"postgres(ql)?(\+psycopg)?://\S+|(?![a-z+]+://).*", re.DOTALL)


def notes(text: str) -> str:
    if not _DATABASE.fullmatch(text):
        scheme = text.partition("://")[0]
        raise WrongSetting(f"must be a folder, or postgresql://USER@HOST/NAME, not a URL of {scheme}")
    return text


def number(low: float, high: float, kind: Callable[[str], Any] = int) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise WrongSetting(f"must be a number from {low} to {high}, not {text!r}")
        return value

    return parse


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise WrongSetting(f"must be true or false, not {text!r}")
    return text == "true"


def origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise WrongSetting(f"must be origins such as https://host:port, separated by commas, not {origin!r}")
    return origins


def hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise WrongSetting(f"must be names such as photos.example or *.example, separated by commas, not {host!r}")
    return hosts


def prefix(text: str) -> str:
    if not PREFIX.fullmatch(text.rstrip("/")):
        raise WrongSetting(f"must be a path such as /tools/unitscope, not {text!r}")
    return text.rstrip("/")


def networks(text: str) -> tuple[str, ...]:
    from ipaddress import ip_network

    try:
        return tuple(str(ip_network(part.strip())) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise WrongSetting(
            f"must be addresses or networks such as 127.0.0.1 or 10.0.0.0/8, separated by commas ({error})"
        ) from error


def arguments(text: str) -> tuple[tuple[str, str], ...]:
    from indexer.index.loading import arguments_of

    try:
        keywords = json.loads(text)
    except ValueError:
        keywords = None
    if not isinstance(keywords, dict):
        raise WrongSetting(f'must be a JSON object such as {{"num_classes": 10}}, not {text!r}')
    return arguments_of(keywords)


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise WrongSetting(f"must be one of {', '.join(choices)}, not {text!r}")
        return text

    return parse
