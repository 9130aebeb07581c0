"""The end of a process that has imported torch."""

import atexit
import os
import sys
import threading
from typing import NoReturn


def leave(status: int) -> NoReturn:
    """End this process without tearing down its modules, if torch is imported and no thread is left to wait for.

    At its end Python tears down every module. For torch and torchvision this takes a third of the time that their
    import took, although all work is done. So this function calls the functions that were registered for the end and
    flushes the output, as Python does, and leaves the rest to the system. If other threads still run, Python ends as
    usual and waits for them.
    """
    if "torch" not in sys.modules or _threads_left():
        sys.exit(status)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _threads_left() -> bool:
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
