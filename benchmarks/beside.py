"""Questions beside the same server's ``/healthz``, and beside what they would cost by hand; both take turns.

python -m benchmarks.beside INDEX --real INDEX --vectors INDEX --weights FILE [--out FILE]
"""

import argparse
import itertools
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import faiss
import numpy as np

import indexer
from benchmarks import by_hand, clients, measure
from benchmarks.clients import Address, Ask
from benchmarks.measure import Row
from indexer import pictures
from indexer.query.index import Index

CROPS = 40
PAGE = 8
NEAREST = 20
LOOKUPS = 20
NOTHING_KEPT = ("--answer-bytes", "0")


def over_health(address: Address, name: str, path: Ask, tags: Callable[[int], str] | None = None) -> Row:
    """Milliseconds an answer to all clients together, beside ``/healthz``; each round asks other numbers."""
    return Row(
        name,
        *measure.rounds(
            lambda number: 1e3 / clients.per_second(address, lambda n: "/healthz"),
            lambda number: 1e3 / clients.per_second(address, path, 10_000 * number, tags),
        ),
    )


def in_turn(name: str, times: int, reference: Callable[[int], object], measured: Callable[[int], object]) -> Row:
    """Milliseconds of one asking, the median of ``times`` a round; every one with a number of its own."""

    def median(ask: Callable[[int], object], number: int) -> float:
        return 1e3 * statistics.median(measure.seconds(partial(ask, number * times + one)) for one in range(times))

    return Row(name, *measure.rounds(partial(median, reference), partial(median, measured)))


def cheap(index: Index, layer: str) -> Iterator[Row]:
    """First pages and firing neurons, worked out each time and given again; a crop that the client has."""
    api = f"/v1/indexes/{index.name}"
    page = f"{api}/layers/{layer}/neurons/{{}}/patches?limit=9"
    neurons, images = index.layers[layer].info.channels, len(index.images)
    firing = f"{api}/images/{{}}/neurons?limit=9"
    with clients.serving(index.path, *NOTHING_KEPT) as address:
        yield over_health(address, "top patches, first page, worked out", lambda n: page.format(n * 7 % neurons))
        yield over_health(address, "neurons firing, worked out", lambda n: firing.format(n * 97 % images))
    with clients.serving(index.path) as address:
        yield over_health(address, "top patches, first page, given again", lambda n: page.format(n % 100 % neurons))
        yield over_health(address, "neurons firing, given again", lambda n: firing.format(n % 100 * 97 % images))
        crops = [f"{api}/images/{n * 89 % images}/layers/{layer}/cells/0,0/patch.jpg" for n in range(100)]
        with closing(clients.connect(address)) as connection:
            tags = [clients.get(connection, crop).headers["ETag"] for crop in crops]
        yield over_health(address, "a crop seen before (304)", lambda n: crops[n % 100], lambda n: tags[n % 100])


def crops(index: Index, layer: str) -> Iterator[Row]:
    """Crops not seen before, of images and cells in no order, alone and a page at a time."""
    api, root = f"/v1/indexes/{index.name}/images", Path(index.manifest.image_root)
    rng, info = np.random.default_rng(0), index.layers[layer].info
    images = index.find_images(limit=len(index.images)).items
    places = [
        (images[rng.integers(len(images))], int(rng.integers(info.height)), int(rng.integers(info.width)))
        for _ in range((measure.ROUNDS + 1) * CROPS * PAGE)
    ]
    paths = [f"{api}/{image.id}/layers/{layer}/cells/{y},{x}/patch.jpg" for image, y, x in places]

    def hand(number: int) -> object:
        image, y, x = places[number]
        return by_hand.crop(root / image.path, index.box(image, layer, y, x))

    def own(number: int) -> object:
        image, y, x = places[number]
        return pictures.encode(pictures.patch(index, image, layer, y, x), "JPEG")

    yield in_turn("a crop, in this process / decode, crop, encode by hand", CROPS, hand, own)
    with clients.serving(index.path) as address, ThreadPoolExecutor(PAGE) as pool:
        connections = [clients.connect(address) for _ in range(PAGE)]
        page = lambda n: range(n * PAGE, n * PAGE + PAGE)  # noqa: E731
        ask = lambda connection, number: clients.get(connection, paths[number])  # noqa: E731
        by_hand_too = lambda n: (clients.get(connections[0], "/healthz"), hand(n))  # noqa: E731
        name = "a crop, over HTTP / a /healthz, and decode, crop, encode by hand"
        yield in_turn(name, CROPS, by_hand_too, lambda n: ask(connections[0], n))
        yield in_turn(
            f"{PAGE} crops of a page together, over HTTP / as many by hand, one by one", CROPS,
            lambda n: [hand(number) for number in page(n)], lambda n: list(pool.map(ask, connections, page(n))),
        )  # fmt: skip
        for connection in connections:
            connection.close()


def lookups(index: Index, layer: str, weights: str | None) -> Iterator[Row]:
    """An uploaded picture: what fires, the nearest patches and images."""
    root = Path(index.manifest.image_root)
    files = [(root / record.path).read_bytes() for record in index.find_images(limit=LOOKUPS).items]
    look = by_hand.lookup(index, index.network(weights), layer, 10)
    flags = ("--weights", weights) if weights else ()
    path = f"/v1/indexes/{index.name}/lookup?layer={layer}&limit=10"
    with clients.serving(index.path, *flags) as address, closing(clients.connect(address)) as connection:
        name = "lookup of an upload, over HTTP / decode, forward, search by hand, one thread each"
        send = lambda n: clients.upload(connection, path, files[n % len(files)])  # noqa: E731
        yield in_turn(name, LOOKUPS, lambda n: look(files[n % len(files)]), send)


def nearest(index: Index, layer: str) -> Iterator[Row]:
    """Nearest patches by a vector of the index, exactly."""
    api, info = f"/v1/indexes/{index.name}/images", index.layers[layer].info
    vectors, images = index.layers[layer].vectors(), len(index.images)
    rng = np.random.default_rng(0)
    queries = rng.random((CROPS, info.channels), np.float32)
    about = f"{vectors.ntotal:,} x {info.channels}"

    def path(number: int) -> str:
        y, x = number // 3 % info.height, number % info.width
        return f"{api}/{number * 97 % images}/layers/{layer}/cells/{y},{x}/similar?limit={NEAREST}&exact=true"

    with clients.serving(index.path, *NOTHING_KEPT) as address:
        with closing(clients.connect(address)) as connection:
            alone = lambda n: vectors.search(queries[n % len(queries)][None], NEAREST)  # noqa: E731
            ask = lambda n: clients.get(connection, path(n))  # noqa: E731
            yield in_turn(f"exact nearest of {about}, one client / FAISS alone", CROPS, alone, ask)
        yield over_health(address, f"exact nearest of {about}, {clients.CLIENTS} clients", path)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index", type=Path, help="a large one")
    parser.add_argument("--real", type=Path, required=True, help="one of photographs, for crops and lookups")
    parser.add_argument("--vectors", type=Path, required=True, help="one whose vectors FAISS scans")
    parser.add_argument("--weights", help="of the network of --real, if not where they were")
    parser.add_argument("--layer", default="features.12")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/beside.json"))
    options = parser.parse_args(arguments)
    faiss.omp_set_num_threads(1)  # as the service's processes have it
    layer, rows = options.layer, []
    print("\n| question (beside /healthz where it names no other) | reference (ms) | unitscope (ms) | ratio | |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    with (
        indexer.open(options.index) as large,
        indexer.open(options.real) as real,
        indexer.open(options.vectors) as flat,
    ):
        asked = (cheap(large, layer), crops(real, layer), lookups(real, layer, options.weights), nearest(flat, layer))
        for row in itertools.chain(*asked):
            print(row.line(), flush=True)
            rows.append(row)
    measure.write("questions beside /healthz and by hand", rows, options.out)


if __name__ == "__main__":
    main()
