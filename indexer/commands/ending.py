"""The end of a process that has imported torch."""

import atexit
import os
import sys
import threading
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End this process, at once where nothing is left to do.

    Python takes everything apart at its end, module by module: for torch and torchvision that takes a third of the time
    that their import took. All work has been done by then. So everything that was registered for the end is called, and
    what is written goes out, as always; only the taking apart is left to the system. A thread that still runs, and
    would be waited for, is waited for as always.
    """
    if "torch" not in sys.modules or _threads_left():
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _threads_left() -> bool:
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
