"""The settings of the service, as data: name, default and help.

Each is a flag (``--max-upload-bytes``) and an environment variable (``UNITSCOPE_MAX_UPLOAD_BYTES``); the flag wins.
docs/settings.md lists them.
"""

# ruff: noqa: RUF009 - _setting makes a field
import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.settings import values
from service.settings.values import WrongSetting

if TYPE_CHECKING:
    from indexer.store.storage import Location

PROG = "python -m service"
ENVIRONMENT_PREFIX = "UNITSCOPE_"
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://\S+")
"""Kubernetes and Docker set the variable NAME_PORT to this form for a service called NAME. It is not a setting."""


def _setting(parse: Callable[[str], Any], help_: str, default: Any = MISSING) -> Any:
    return field(default=default, metadata={"parse": parse, "help": help_})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of the service; see the help of each field."""

    directory: "Location" = _setting(
        values.location, "An index, or a folder of indexes, or the URL of either. On the command line it has no flag."
    )
    host: str = _setting(str, "The address to listen on. Only this machine can reach 127.0.0.1.", "127.0.0.1")
    port: int = _setting(values.number(0, 65535), "The port to listen on; 0 takes a free one.", 8000)
    images: "Location | None" = _setting(
        values.location, "Where the original images are, if they were moved since they were indexed.", None
    )
    model: str | None = _setting(
        str, "The `module:factory` or program file of the network, for an index that was built from one.", None
    )
    model_args: tuple[tuple[str, str], ...] = _setting(
        values.arguments,
        "The arguments of the factory, as a JSON object. An index that was built with others is refused.",
        (),
    )
    weights: str | None = _setting(
        str, "Where the network's weights are, if they were moved since the index was built. Uploads need them.", None
    )
    encoder: str | None = _setting(
        str,
        "The `module:factory` of the image-text encoder by which texts find neurons: the one that `patch-vectors` had.",
        None,
    )
    encoder_args: tuple[tuple[str, str], ...] = _setting(
        values.arguments, "The arguments of that factory, as a JSON object.", ()
    )
    workers: int | None = _setting(
        values.number(1, 64),
        "How many processes answer requests; by default one for each core, at least 2 and at most 8.",
        None,
    )
    threads: int = _setting(values.number(2, 256), "How many requests a process works on at a time.", 12)
    connections: int = _setting(
        values.number(10, 10_000),
        "How many connections a process keeps open. For more, it closes those that are idle longest.",
        250,
    )
    max_upload_bytes: int = _setting(values.number(1, 2**31), "The largest upload, in bytes.", 20_000_000)
    max_pixels: int = _setting(values.number(1, 2**31), "The largest upload, in pixels.", 64_000_000)
    forward_passes: int = _setting(
        values.number(1, 64),
        "How many processes run the network. Each works on one upload at a time and takes 1 GB of memory.",
        1,
    )
    preload: bool = _setting(
        values.boolean,
        "Whether these processes load torch at the start, so that the first upload does not wait for it.",
        True,
    )
    forward_threads: int = _setting(
        values.number(1, 256), "How many threads (OpenMP) one pass through the network uses.", 1
    )
    forward_queue: int = _setting(
        values.number(1, 255), "How many more uploads may wait; the service answers further ones with 503.", 3
    )
    forward_share: int = _setting(
        values.number(1, 64),
        "How many uploads that wait at once may go through the network together, where it gives each the same numbers "
        "as alone; 1 lets none.",
        4,
    )
    forward_wait: float = _setting(
        values.number(0, 600, float), "How many seconds an upload waits for the network before it gets a 503.", 10.0
    )
    forward_seconds: float = _setting(
        values.number(1, 3600, float),
        "How many seconds the network may work on one upload before its process is replaced.",
        120.0,
    )
    drawings: int = _setting(
        values.number(1, 64), "How many pictures of many originals (sheets, tiles) a process draws at a time.", 2
    )
    drawing_wait: float = _setting(
        values.number(0, 600, float),
        "How many seconds such a picture waits for its turn before the request gets a 503.",
        10.0,
    )
    question_seconds: float = _setting(
        values.number(0.1, 3600, float),
        "How many seconds a question may take, not counting its waiting, before it gets a 504.",
        60.0,
    )
    stop_seconds: float = _setting(
        values.number(0, 3600, float),
        "How many seconds requests in progress may still take when the service is told to end.",
        20.0,
    )
    log_level: str = _setting(
        values.one_of("debug", "info", "warning", "error"),
        "The least severe messages that are logged; `info` has a line for every request.",
        "info",
    )
    check_seconds: float = _setting(
        values.number(0, 3600, float),
        "How many seconds may pass before the service notices a new generation of an index.",
        0.5,
    )
    cache: Path | None = _setting(
        Path,
        "The folder for copies of remote indexes' derived files; by default in the folder for temporary files.",
        None,
    )
    cache_bytes: int = _setting(values.number(1, 2**60), "How many bytes these copies may take.", 32 << 30)
    answer_bytes: int = _setting(
        values.number(0, 2**40),
        "How many bytes of finished answers a process keeps to send them again; 0 keeps none.",
        16 << 20,
    )
    origins: tuple[str, ...] = _setting(
        values.origins,
        "The origins whose pages may read answers (CORS), such as `https://host:port`, separated by commas.",
        (),
    )
    hosts: tuple[str, ...] = _setting(
        values.hosts,
        "The names under which clients reach the service, beside its addresses and `--host`, separated by commas; "
        "`*.example` stands for all below it, `*` for any. A POST or DELETE under another name gets a 403.",
        (),
    )
    prefix: str = _setting(
        values.prefix, "The path below which a proxy shows the service, such as `/tools/unitscope`.", ""
    )
    trusted_proxies: tuple[str, ...] = _setting(
        values.networks,
        "The proxies whose `X-Forwarded-For`, `-Host`, `-Proto` and `-Prefix` count, as addresses or networks, "
        "separated by commas. They must set these headers, or take them away.",
        (),
    )
    tokens: Path | None = _setting(
        Path, "A file of token hashes, see `python -m service.tokens`. With it, requests under /v1 need a token.", None
    )
    rate: float = _setting(
        values.number(0, 1e6, float), "How many requests a second a client may make on average; 0 sets no limit.", 0.0
    )
    burst: int = _setting(
        values.number(1, 10**6), "How many requests a client may make at once before `--rate` limits it.", 100
    )
    examine: bool = _setting(
        values.boolean,
        "Whether a separate process reads a new index first, so that its files cannot harm the service.",
        True,
    )

    results: Path | None = _setting(
        Path,
        "The folder for the results of jobs; services that share it share their jobs. By default one in the folder for "
        "temporary files if only this machine can reach the service, and none otherwise.",
        None,
    )
    results_bytes: int = _setting(
        values.number(1 << 20, 2**60),
        "How many bytes these results may take; the oldest make room for new ones.",
        1 << 30,
    )
    jobs: int = _setting(
        values.number(0, 16),
        "How many processes run jobs; with 0, another service that shares `--results` runs them.",
        1,
    )
    job_queue: int = _setting(
        values.number(1, 1000), "How many jobs may wait; the service answers requests for further ones with 503.", 20
    )
    job_seconds: float = _setting(
        values.number(1, 86400, float), "How many seconds a job may run before it fails.", 3600.0
    )
    upload_seconds: float = _setting(
        values.number(1, 31536000, float),
        "How many seconds a job about an upload is kept, with the image and the result.",
        3600.0,
    )
    job_bytes: int = _setting(
        values.number(1 << 28, 2**60), "How many bytes of memory a process that runs jobs may take.", 4 << 30
    )

    notes: str | None = _setting(
        values.notes,
        "The folder for names, notes, tags, votes and lists, or a PostgreSQL database, `postgresql://USER@HOST/NAME`. "
        "By default the user's data folder if only this machine can reach the service; otherwise, and with an empty "
        "value, notes are off.",
        None,
    )

    def __post_init__(self) -> None:
        if self.forward_passes + self.forward_queue >= self.threads:
            raise WrongSetting(
                f"threads ({self.threads}) must be more than forward-passes ({self.forward_passes}) and "
                f"forward-queue ({self.forward_queue}) together, so that uploads cannot hold up other requests"
            )

    @property
    def drawing_queue(self) -> int:
        """How many pictures of many originals may wait, so that uploads and drawing leave one thread for the rest."""
        return max(0, self.threads - self.forward_passes - self.forward_queue - self.drawings - 1)

    @classmethod
    def read(
        cls,
        arguments: Sequence[str] | None = None,
        environment: Mapping[str, str] = os.environ,
        prog: str = PROG,
    ) -> "Settings":
        """Read each setting from the arguments (by default the process's own), else the environment, else its default.

        A wrong setting ends the process with status 2 and a message, as `argparse` does.
        """
        parser = argparse.ArgumentParser(prog=prog, description="Answer questions about indexes over HTTP.")
        cls.add_options(parser, required_directory=environment_name("directory") not in environment)
        flags = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
        try:
            return cls(**cls._from_environment(environment) | flags)
        except WrongSetting as error:
            parser.error(str(error))

    @classmethod
    def _from_environment(cls, environment: Mapping[str, str]) -> dict[str, Any]:
        given = {}
        for item in fields(cls):
            variable = environment_name(item.name)
            if item.name == "port" and _SERVICE_LINK.fullmatch(environment.get(variable, "")):
                continue
            if variable in environment:
                try:
                    given[item.name] = item.metadata["parse"](environment[variable])
                except WrongSetting as error:
                    raise WrongSetting(f"{variable} {error}") from None
        return given

    @classmethod
    def add_options(cls, parser: argparse.ArgumentParser, *, required_directory: bool) -> None:
        """Add a flag for each setting, and the directory."""
        parser.epilog = f"Every flag is also an environment variable, {environment_name('port')} for --port."
        for item in fields(cls):
            options: dict[str, Any] = {
                "metavar": "VALUE",
                "type": _as_argument(item.metadata["parse"]),
                "help": _help(item),
            }
            if item.name == "directory":
                options |= {"metavar": "DIR", "nargs": None if required_directory else "?"}
                parser.add_argument("directory", **options)
            else:
                parser.add_argument(flag(item.name), **options)


def environment_name(name: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + name.upper()


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")


def shown(value: Any) -> str:
    """A value in the form in which it is given to a flag."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _help(item: Field[Any]) -> str:
    default = "" if item.default in (MISSING, None, (), "") else f" Default: {shown(item.default)}."
    text: str = item.metadata["help"]
    return (text + default).replace("%", "%%")


def _as_argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def argument(text: str) -> Any:
        try:
            return parse(text)
        except WrongSetting as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return argument
