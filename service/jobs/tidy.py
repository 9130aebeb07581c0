"""Keeps the folder of results within its bounds, and erases what may no longer be shown."""

import logging
import time
from contextlib import suppress
from typing import Final

from indexer.errors import UnitscopeError
from service.indexes.catalog import Catalog
from service.jobs.records import ENDED
from service.jobs.store import Store

log = logging.getLogger(__name__)

MOST_ENDED: Final = 500
"""Jobs that have ended and are kept, whatever their size."""
_STALE_SECONDS: Final = 3600.0


def erase_outdated(store: Store, catalog: Catalog) -> None:
    """Erase results of generations that have been replaced: they may show images that were removed."""
    for job in store.jobs():
        if job.state != "done" or job.erased:
            continue
        with suppress(UnitscopeError):  # not served here, or not open now
            present, state = catalog.ask(job.request.index, lambda held: (held.index.generation, held.state))
            if state != job.request.state and present > job.request.generation:
                store.erase(job.id)
                log.info("the result of job %s is erased: it is of generation %d", job.id, job.request.generation)


def remove_expired(store: Store) -> None:
    """Remove jobs about uploads whose time is over. Those that have not ended lose the upload, and are cancelled."""
    if not any(job.has_expired for job in store.jobs()):
        return
    with store.alone():
        for job in list(store.jobs()):
            if not job.has_expired:
                continue
            if job.state in ENDED:
                store.delete(job.id)
                log.info("job %s is removed with the upload that it was about, as its time is over", job.id)
                continue
            store.drop_upload(job.id)
            if not job.cancelling:
                store.cancel(job.id)


def seconds_left(store: Store) -> float | None:
    """How long until the time of the next upload is over; None where there is none."""
    times = [job.request.expires for job in store.jobs() if job.request.expires is not None]
    return min(times) - time.time() if times else None


def make_room(store: Store, most_bytes: int) -> None:
    """Remove the jobs that ended the longest ago, until what is left fits."""
    with store.alone():
        ended = [job.id for job in store.jobs() if job.state in ENDED]
        ended.sort(key=store.touched_at)
        sizes = {id_: store.size(id_) for id_ in store.ids()}
        total = sum(sizes.values())
        for count, id_ in enumerate(ended):
            if total <= most_bytes and len(ended) - count <= MOST_ENDED:
                break
            store.delete(id_)
            total -= sizes[id_]
            log.info("job %s is removed to make room", id_)
        for id_ in sizes.keys() - set(ended):
            if store.job(id_) is None and time.time() - store.touched_at(id_) > _STALE_SECONDS:
                store.delete(id_)
