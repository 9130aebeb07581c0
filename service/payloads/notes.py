"""Notes, their histories and lists as JSON."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]


def note_url(index: str, query: Json, part: str = "") -> str:
    """The URL of a note, or of a part of it, below the URL of an index."""
    return f"{index}/note{part}?{urlencode(query)}"


def links(index: str, query: Json, subject: str) -> Json:
    """The URLs that belong to a note."""
    parts = {"self": "", "history": "/history", "restore": "/restore", "vote": "/vote"}
    return {name: note_url(index, query, part) for name, part in parts.items()} | {"subject": subject}


def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 as a date of RFC 3339."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def votes(given: dict[str, int]) -> Json:
    """Who agrees and who does not; null stands for whoever writes where there are no tokens."""
    return {
        word: [name or None for name, vote in sorted(given.items()) if vote == value]
        for word, value in (("agree", 1), ("disagree", -1))
    }


def state(written: Json) -> Json:
    """What is written about a subject."""
    return {"name": written["name"], "text": written["text"], "tags": written["tags"], "votes": votes(written["votes"])}


def change(revision: int, what: str, author: str | None, time: float, before: Json, after: Json) -> Json:
    """A change with the states around it."""
    about = {"revision": revision, "what": what, "author": author, "time": moment(time)}
    return about | {"before": before, "after": after}
