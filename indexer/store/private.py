"""Folders in which nobody else can lay files."""

import os
import stat
from pathlib import Path


def is_private(folder: Path) -> bool:
    """Whether this is a folder of this user that only this user can write to; a link to one is not.

    Anyone may make a folder of any name where temporary files are, and lay files in it.
    """
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
