"""``mcp``: let assistants ask, through the Model Context Protocol."""

import argparse
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.commands.options.encoder import add_encoder_options
from indexer.errors import InvalidRequest, NotInstalled
from indexer.store.remote import parse_location

if TYPE_CHECKING:
    from unitscope.client.transport import Questions


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("source", metavar="INDEX|URL", help="an index, a folder of indexes, or the URL of a service")
    command.add_argument("--token-file", type=Path, help="a file with the token of that service")
    command.add_argument("--model", help="your own module:factory, for questions that run the network of an index")
    command.add_argument("--weights", help="where its weights are now")
    command.add_argument(
        "--model-args", metavar="KEY=VALUE", action="append", default=[],
        help="an argument of module:factory that the index was built with; may be repeated",
    )  # fmt: skip
    add_encoder_options(command, "the encoder that patch-vectors had, for texts that find neurons", required=False)
    command.add_argument(
        "--allow-notes", action="store_true", help="also offer take_name and refuse_name, which write to the notes"
    )
    command.add_argument(
        "--allow-jobs", action="store_true", help="also offer what_if, which runs the network for minutes"
    )
    command.add_argument(
        "--http", type=_address, metavar="HOST:PORT",
        help="listen there, at /mcp, in place of standard input and output; local files are not read then",
    )  # fmt: skip
    command.add_argument(
        "--http-token-file",
        type=Path,
        help="a file with the token that assistants must send; needed beyond this machine",
    )


def run(options: argparse.Namespace) -> int:
    try:
        import mcp  # noqa: F401 - asks for the package before any index is opened
    except ImportError as error:
        raise NotInstalled(
            "this needs the package mcp, which is not installed: install unitscope[assistants]"
        ) from error
    from unitscope.client.transport import OwnService, Questions, RunningService

    is_url = options.source.startswith(("http://", "https://"))
    service = (
        RunningService(options.source, _token(options.token_file))
        if is_url
        else OwnService(parse_location(options.source), options.model, options.weights, **_arguments(options))
    )
    _serve(options, Questions(service))
    return 0


def _serve(options: argparse.Namespace, questions: "Questions") -> None:
    from unitscope.assistants.server import http_app, make_server

    server = make_server(
        questions, local_files=options.http is None, jobs=options.allow_jobs, notes=options.allow_notes
    )
    if options.http is None:
        server.run("stdio")
        return
    import uvicorn

    host, port = options.http
    token = _token(options.http_token_file)
    if token is None and not _is_loopback(host):
        raise InvalidRequest(f"{host} is not this machine alone: give --http-token-file, or listen on 127.0.0.1")
    uvicorn.run(http_app(server, host, port, token), host=host, port=port, log_level="warning")


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    from indexer.index.loading import Loading, parse_arguments

    of_encoder = Loading(parse_arguments(options.encoder_args, "--encoder-args")).keywords
    of_model = Loading(parse_arguments(options.model_args, "--model-args")).keywords
    return {"encoder": options.encoder, "encoder_args": of_encoder, "model_args": of_model}


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, such as 127.0.0.1:8765, not {text!r}")
    return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{file} is not a file with a token ({error})") from error
    if not token:
        raise InvalidRequest(f"{file} is empty; it must hold a token")
    return token
