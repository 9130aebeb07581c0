"""The figures for Prometheus, over all processes of the service, including those that were replaced.

With ``PROMETHEUS_MULTIPROC_DIR`` in the environment, values live in memory-mapped files there, one set for each name
of a process (``worker-0``). A process that replaces another has its name, takes over its files and goes on counting. So
nothing is lost when a process dies, and the files do not pile up.

Labels come from short, fixed lists: routes as openapi.yaml writes them, never paths; indexes that are served.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

PROCESS: Final = "UNITSCOPE_PROCESS"
"""The environment variable that tells a child its name."""
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
NO_ROUTE: Final = "none"
OTHER_METHOD: Final = "other"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
_SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_LONG: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
_LONGEST: Final = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600)

if FOLDER in os.environ:  # before any metric is made
    # The function is asked at every count.
    values.ValueClass = values.MultiProcessValue(lambda name=os.environ[PROCESS]: name)  # type: ignore[no-untyped-call]

# When each series began would be as many series again.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()

REQUESTS = Counter("unitscope_requests", "Requests answered.", ["route", "method", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "unitscope_request_seconds", "From a request's start to its answer.", ["route"], registry=REGISTRY, buckets=_SHORT
)
RESPONSE_BYTES = Counter("unitscope_response_bytes", "Bytes of bodies sent.", ["route"], registry=REGISTRY)
IN_PROGRESS = Gauge(
    "unitscope_requests_in_progress", "Requests being worked on.", registry=REGISTRY, multiprocess_mode="livesum"
)
THREAD_QUEUE = Gauge(
    "unitscope_requests_waiting", "Requests that wait for a thread.", registry=REGISTRY, multiprocess_mode="livesum"
)
CONDITIONAL = Counter(
    "unitscope_conditional_requests",
    "Requests that named the state the client has: known (304) or changed (sent anew).",
    ["result"],
    registry=REGISTRY,
)
ANSWERS = Counter(
    "unitscope_answers",
    "JSON answers about an index: made, or given again as they were kept.",
    ["result"],
    registry=REGISTRY,
)
UPLOADS_WAITING = Gauge(
    "unitscope_uploads_waiting", "Uploads that wait for the network.", registry=REGISTRY, multiprocess_mode="livesum"
)
UPLOAD_WAIT_SECONDS = Histogram(
    "unitscope_upload_wait_seconds", "How long uploads waited for the network.", registry=REGISTRY, buckets=_LONG
)
REFUSED = Counter(
    "unitscope_uploads_refused",
    "Uploads sent away with 503: the queue was full, the wait too long, the network's process lost.",
    ["reason"],
    registry=REGISTRY,
)
DRAWINGS_WAITING = Gauge(
    "unitscope_drawings_waiting", "Sheets and tiles that are drawn or wait for it.", registry=REGISTRY,
    multiprocess_mode="livesum",
)  # fmt: skip
DRAWINGS_REFUSED = Counter(
    "unitscope_drawings_refused",
    "Sheets and tiles sent away with 503: the queue was full, or the wait too long.",
    ["reason"],
    registry=REGISTRY,
)
FORWARD_SECONDS = Histogram(
    "unitscope_forward_seconds",
    "Decoding a picture and sending it through the network (see), attribution (attribute), or why (explain).",
    ["question"],
    registry=REGISTRY,
    buckets=_LONG,
)
NETWORK_CACHE = Counter(
    "unitscope_network_cache", "Passes whose network was loaded already (hit) or not (miss).", ["result"],
    registry=REGISTRY,
)  # fmt: skip
GENERATIONS = Counter(
    "unitscope_generations_opened", "Generations of indexes opened, by each process.", registry=REGISTRY
)
JOBS_ENDED = Counter("unitscope_jobs_ended", "Jobs that were run to an end.", ["kind", "state"], registry=REGISTRY)
JOB_SECONDS = Histogram(
    "unitscope_job_seconds", "From the beginning of a job to its end.", ["kind"], registry=REGISTRY, buckets=_LONGEST
)
PROCESSES = Gauge(
    "unitscope_processes", "Processes that are up.", ["role"], registry=REGISTRY, multiprocess_mode="livesum"
)
PROCESS_ENDS = Counter(
    "unitscope_process_ends",
    "Processes that ended and were replaced: by themselves, by a signal, for their silence.",
    ["role", "way"],
    registry=REGISTRY,
)


class IndexFigures(Collector):
    """What is served: figures by index, looked up for each scrape."""

    def __init__(self) -> None:
        labels = ["index"]
        self._ready = GaugeMetricFamily("unitscope_index_ready", "Whether it can be answered from.", labels=labels)
        self._generation = GaugeMetricFamily("unitscope_index_generation", "The generation served.", labels=labels)
        self._images = GaugeMetricFamily("unitscope_index_images", "Images of an index.", labels=labels)
        self._bytes = GaugeMetricFamily("unitscope_index_bytes", "Bytes of an index's files.", labels=labels)

    def add(self, name: str, generation: int, images: int, size: int) -> None:
        """Add an index that is ready."""
        self._ready.add_metric([name], 1)
        self._generation.add_metric([name], generation)
        self._images.add_metric([name], images)
        self._bytes.add_metric([name], size)

    def add_unavailable(self, name: str) -> None:
        """Add an index that is not ready."""
        self._ready.add_metric([name], 0)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from (self._ready, self._generation, self._images, self._bytes)


class JobFigures(Collector):
    """Jobs by state, counted for each scrape: the folder of results is the same for all services that share it."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._jobs = GaugeMetricFamily("unitscope_jobs", "Jobs in the folder of results, by state.", labels=["state"])
        for state, count in counts.items():
            self._jobs.add_metric([state], count)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield self._jobs


def render(*looked_up: Collector) -> bytes:
    """All metrics, in the text format, with those that are looked up for each scrape."""
    if FOLDER not in os.environ:
        own = generate_latest(REGISTRY)
    else:
        shared = CollectorRegistry()
        multiprocess.MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        own = generate_latest(shared)
    others = CollectorRegistry(auto_describe=False)
    for collector in looked_up:
        others.register(collector)
    return own + generate_latest(others)


def close() -> None:
    """Close the files; nothing may be counted afterwards."""
    values.close_all_multiprocess_files()  # type: ignore[no-untyped-call]


@contextmanager
def waiting() -> Iterator[None]:
    """Count and time an upload that waits for its turn."""
    with UPLOADS_WAITING.track_inprogress(), UPLOAD_WAIT_SECONDS.time():
        yield


def bury(role: str, name: str, way: str) -> None:
    """Note that a process has ended: its gauges no longer hold, its counts do."""
    PROCESS_ENDS.labels(role, way).inc()
    multiprocess.mark_process_dead(name)  # type: ignore[no-untyped-call]
