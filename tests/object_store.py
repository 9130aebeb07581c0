"""A real S3 server on loopback."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from indexer.store.remote import RemotePath, parse_location

BUCKET = "photographs"


class ObjectStore:
    """An S3 server that keeps its objects when it is stopped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.environment = {
            "AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.url,
        }  # fmt: skip
        self.start()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT")).close()

    def start(self) -> None:
        environment = os.environ | {
            "S3_PERSIST": "1", "S3_DATA_DIR": str(self._folder), "SERVICES": "s3", "LOG_LEVEL": "ERROR",
            "GATEWAY_PORT": str(self._port),
        }  # fmt: skip
        command = [sys.executable, "-m", "hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{self._port}"]
        with (self._folder.parent / "object store.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("the object store does not start")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def place(self, name: str) -> RemotePath:
        return parse_location(f"s3://{BUCKET}/{name}")


def upload(folder: Path, to: RemotePath) -> RemotePath:
    """Copy a folder into the bucket."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            (to / path.relative_to(folder).as_posix()).upload(path)
    return to
