"""``python -m service DIR``: answer questions about the indexes in a directory."""

import os
import signal
import sys

# OpenMP reads this once, when torch and FAISS are imported. Requests run side by side already; with more threads each
# they would fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import logging

from service.settings import Settings


def main() -> int:
    """Serve until interrupted; the exit status is 2 where there is nothing to serve."""
    settings = Settings.read()
    if not settings.directory.is_dir():
        print(f"unitscope: there is no directory {settings.directory}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells how it was loaded
    from service.app import create_app  # takes seconds; a wrong flag is answered at once
    from service.server import addresses, make_server
    from service.tokens import WrongTokens

    try:
        app = create_app(settings)
        server = make_server(app, settings)
    except (OSError, WrongTokens) as error:
        print(f"unitscope: {error}", file=sys.stderr)
        return 2
    print(f"unitscope answers at {' and '.join(addresses(server))} (end with Ctrl-C)", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.run()  # returns when interrupted or told to end
    finally:
        server.close()
        app.services.catalog.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
