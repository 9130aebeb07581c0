"""``python -m service.processes.request_worker``: a process that answers requests; `service.processes.supervisor`
starts it."""

import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from service.processes.child import Inherited, inherit
from service.telemetry import logs

if TYPE_CHECKING:
    from service.app import Application


def main() -> int:
    """Serve until told to end, or until the supervisor is gone; the exit status is 2 where it cannot."""
    with contextlib.closing(inherit()) as given:
        from service.access.tokens import WrongTokens
        from service.app import create_app  # takes a second

        try:
            app = create_app(given.settings, given.network)
        except WrongTokens as error:
            print(f"unitscope: {error}", file=sys.stderr)
            return 2
        _serve(app, given)
        return 0


def _serve(app: "Application", given: Inherited) -> None:
    from service.processes.server import Server

    server = Server(app, given.settings, given.sockets)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    given.lifeline.beat()

    def tick() -> None:
        given.lifeline.beat()
        logs.sweep()
        if given.lifeline.cut():
            server.stop()

    server.run(tick)
    app.close()


if __name__ == "__main__":
    sys.exit(main())
