"""When a build, in a process of its own, comes to its first image, and to the ends of its stages."""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_IMAGE, GONE = "until the first image", "until the process is gone"
_BUILD = f"""
import sys, time
from indexer.cli import main
from indexer.commands.console.ending import leave
from indexer.jobs import carry_out
from indexer.jobs.pipeline import decode

def say(moment):
    print("moment", time.process_time(), moment, flush=True)

def told(moment, work):
    def run(*arguments, **options):
        done = work(*arguments, **options)
        say(moment)
        return done
    return run

plain = decode.decode
def first(*arguments, **options):
    if decode.decode is first:
        decode.decode = plain
        say("{FIRST_IMAGE}")
    return plain(*arguments, **options)

decode.decode = first
carry_out.run_plan = told("indexing", carry_out.run_plan)
carry_out.derive_and_publish = told("deriving", carry_out.derive_and_publish)
status = main(sys.argv[1:])
say("until the last line")
leave(status)
"""


@dataclass(frozen=True)
class Took:
    """Seconds of the clock and of processors."""

    clock: float
    cpu: float


def cpu_of_children() -> float:
    """Seconds of processors that processes which this one started, and which ended, have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build_parts(arguments: Sequence[str]) -> dict[str, Took]:
    """What each part of ``python -m indexer build ARGUMENTS`` takes, in their order, to the end of the process."""
    parts: dict[str, Took] = {}
    before, used, used_before = time.perf_counter(), cpu_of_children(), 0.0
    with subprocess.Popen(
        [sys.executable, "-u", "-c", _BUILD, "build", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("moment "):
                now, (cpu, moment) = time.perf_counter(), line.removeprefix("moment ").strip().split(maxsplit=1)
                parts[moment] = Took(now - before, float(cpu) - used_before)
                before, used_before = now, float(cpu)
        assert process.wait() == 0, "the build failed"
    parts[GONE] = Took(time.perf_counter() - before, cpu_of_children() - used - used_before)
    return parts
