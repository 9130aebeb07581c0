"""Where the notes lie."""

import os
from pathlib import Path
from typing import Final

from service.access.addresses import is_loopback
from service.settings import Settings

FILE: Final = "notes.sqlite3"


def notes_location(settings: Settings) -> str | None:
    """The folder or URL that the settings name, or else the user's data folder, if only this machine can reach the
    service; otherwise None.

    In a container that folder would go with the container, and names that vanish are worse than none.
    """
    if settings.notes is not None:
        return settings.notes or None
    if settings.host.lower() != "localhost" and not is_loopback(settings.host):
        return None
    return str(data_folder())


def data_folder() -> Path:
    """The folder for what belongs to a user and lasts (XDG Base Directory Specification)."""
    given = os.environ.get("XDG_DATA_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path("~/.local/share").expanduser()
    return base / "unitscope"
