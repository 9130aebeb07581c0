"""Files of an index that were made to do harm, and files that chance has garbled: refused, in bounded time and memory.

Each is read in a child process of bounded memory, as a service reads it, and the child must end well. A longer run:
``UNITSCOPE_FUZZ=3000 pytest tests/indexer/test_hostile_files.py -k garbled``.
"""

import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import indexer
from indexer.derive.nearest import vectors as flat_or_inverted
from indexer.derive.nearest.faiss_reader import WrongVectors
from indexer.derive.nearest.ivf import fill, list_count, write_inverted
from indexer.derive.nearest.rabitq import few_lists, train_codes
from indexer.derive.nearest.vectors_file import check_vectors
from indexer.errors import DamagedFile, StorageUnavailable, UnitscopeError
from indexer.index.manifest import read_manifest
from indexer.jobs.upkeep.remove import remove
from indexer.query import sandbox
from indexer.shards.reader import Shard
from tests.memory import peak_kb

ROOT = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("UNITSCOPE_FUZZ", "12"))
DIMENSIONS, COUNT = 24, 700
MEMORY = 4 << 30
LAYER = "features.12"

READ_ALL = """
import random, resource, sys
from pathlib import Path
import indexer
from indexer.errors import UnitscopeError
from indexer.shards.maps import chunk_offsets
from tests.memory import peak_kb
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
index, seed, rounds, names = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
refused = answered = 0

def put(path, data):  # as another file: one that is mapped must not be cut
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)

for number in range(seed, seed + rounds):
    chance = random.Random(number)
    chunk_offsets._ONE_BY_ONE = chance.choice((0, 1, 40))  # chunks that HDF5 is asked for before it lists all
    path = index / chance.choice(names)
    whole = path.read_bytes()
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 8))):
        place = chance.randrange(len(data)) if chance.random() < 0.3 else chance.randrange(min(4096, len(data)))
        how = chance.random()
        if how < 0.5:
            data[place] = chance.randrange(256)
        elif how < 0.8:
            data[place:place + 8] = chance.choice((2**64 - 1, 0, 2**63 - 1, 2**36)).to_bytes(8, "little")
        else:
            del data[max(1, place):]
    put(path, data)
    try:
        with indexer.open(index) as opened:
            for name in opened.layers:
                opened.top_patches(name, 0, limit=3)
                opened.similar(name, 1, 0, 0, limit=3)
            opened.neurons_firing(2, limit=3)
            opened.activation_maps(1, name)
        answered += 1
    except UnitscopeError:
        refused += 1
    except (IndexError, ValueError, TypeError) as error:  # the service answers these with 500, and goes on
        refused += 1
    finally:
        put(path, whole)
print(refused, answered, peak_kb() // 1024)
"""


@pytest.fixture
def own(own_index: Path) -> Path:
    return own_index


def run_garbled(index: Path, rounds: int, names: list[str], seed: int = 0) -> tuple[int, int, int]:
    """Change bytes of a file and read the index, so many times; how often it was refused and answered, and peak MB."""
    command = [sys.executable, "-c", READ_ALL, str(index), str(seed), str(rounds), *names]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60 + rounds * 5)
    assert found.returncode == 0, f"ended with {found.returncode}: {found.stderr[-3000:]}"
    refused, answered, megabytes = map(int, found.stdout.split())
    return refused, answered, megabytes


@pytest.mark.parametrize("kind", ["shards/", ".faiss", "derived/"])
def test_garbled_files_do_no_harm(own: Path, kind: str) -> None:
    names = [file for file in read_manifest(own).files if kind in file]
    if kind == "derived/":
        names = [file for file in names if file.endswith(".h5")]
    harmless(own, names)


@pytest.mark.parametrize("few_lists_bytes", [1000, pytest.param(1 << 30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [".lists", pytest.param(".faiss", marks=pytest.mark.slow)])
def test_garbled_inverted_files_do_no_harm(
    own: Path, kind: str, few_lists_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_or_inverted, "FLAT_BYTES", 1000)
    monkeypatch.setattr(flat_or_inverted, "FEW_LISTS_BYTES", few_lists_bytes)
    monkeypatch.setattr(flat_or_inverted, "FALLBACK_BYTES", 0)
    remove(own, ids=[3])
    names = [file for file in read_manifest(own).files if file.endswith(kind)]
    assert names
    harmless(own, names)


def harmless(index: Path, names: list[str]) -> None:
    refused, answered, megabytes = run_garbled(index, ROUNDS, names)
    assert refused + answered == ROUNDS
    assert refused > ROUNDS // 10
    assert megabytes < 1500


# -- the manifest -----------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def places(node: Any, path: tuple = ()) -> list[tuple]:
    found = [path]
    items = node.items() if isinstance(node, dict) else enumerate(node[:3]) if isinstance(node, list) else ()
    for key, value in items:
        found.extend(places(value, (*path, key)))
    return found


@settings(
    max_examples=max(ROUNDS, 60), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_a_manifest_with_a_wrong_value_is_refused_or_answered_from(own: Path, data: st.DataObject) -> None:
    path = own / "manifest.json"
    whole = path.read_bytes()
    manifest = json.loads(whole)
    *parents, last = data.draw(st.sampled_from(places(manifest)[1:]))
    node = manifest
    for key in parents:
        node = node[key]
    node[last] = data.draw(JSON)
    path.write_text(json.dumps(manifest))
    try:
        with indexer.open(own) as index:
            index.top_patches(LAYER, 0, limit=3)
            index.similar(LAYER, 1, 0, 0, limit=3)
    except UnitscopeError:
        pass
    finally:
        path.write_bytes(whole)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
@example(content=b"[" * 100_000)
@example(content=b'{"format": "unitscope index", "version": 3}')
@example(content=b"9" * 10_000)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(DamagedFile, match=r"manifest\.json"):
        read_manifest(tmp_path)


def edit(index: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((index / "manifest.json").read_text())
    change(manifest)
    (index / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["configuration"]["layers"][0].update(height=10**9, width=10**9),
        lambda m: m["configuration"]["layers"][0].update(height=65536, width=65536),
        lambda m: m["configuration"]["layers"][0].update(height=m["configuration"]["layers"][0]["height"] + 1),
        lambda m: m["derived"].update(images="../private/images.h5"),
        lambda m: m["shards"][0].update(file="/etc/passwd"),
        lambda m: m["vectors"][LAYER].update(probes="all"),
        lambda m: m["configuration"]["preprocessing"].update(std=[0, 0, 0]),
        lambda m: m["configuration"]["preprocessing"].update(resize=[2**40]),
        lambda m: m.update(images=10**12),
        lambda m: m.update(surprise=1),
    ],
)
def test_a_manifest_that_asks_for_too_much_is_refused(own: Path, change: Callable[[dict], None]) -> None:
    edit(own, change)
    with pytest.raises(DamagedFile):
        indexer.open(own)


# -- FAISS ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["flat", "few lists", "many lists"])
def vectors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path | None]:
    """A FAISS index as `indexer.derive.nearest.vectors` makes it, and its lists."""
    made = np.random.default_rng(0).random((COUNT, DIMENSIONS), dtype=np.float32)
    path = tmp_path_factory.mktemp("vectors") / "layer.faiss"
    if request.param != "flat":
        lists = path.with_suffix(".lists")
        count = few_lists(COUNT) if request.param == "few lists" else list_count(COUNT)
        trained = train_codes(made, count, made[:64])
        write_inverted(path, lists, trained, [(0, fill(trained.index, iter([made]), 0, trained.queries))])
        return path, lists
    index = faiss.IndexScalarQuantizer(DIMENSIONS, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.add(made)
    faiss.write_index(index, str(path))
    return path, None


def test_what_is_written_is_accepted(vectors: tuple[Path, Path | None]) -> None:
    path, lists = vectors
    check_vectors(path, lists, DIMENSIONS, COUNT)
    for dimensions, count in ((DIMENSIONS + 1, COUNT), (DIMENSIONS, COUNT - 1), (DIMENSIONS, 0)):
        with pytest.raises(WrongVectors):
            check_vectors(path, lists, dimensions, count)
    with pytest.raises(WrongVectors):
        check_vectors(path, None if lists else path, DIMENSIONS, COUNT)


def test_every_cut_is_refused(vectors: tuple[Path, Path | None], tmp_path: Path) -> None:
    path, lists = vectors
    whole, cut = path.read_bytes(), tmp_path / "cut"
    for length in (*range(0, 200), len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(WrongVectors):
            check_vectors(cut, lists, DIMENSIONS, COUNT)
    cut.write_bytes(whole + b"\0")
    with pytest.raises(WrongVectors, match="has bytes after its end"):
        check_vectors(cut, lists, DIMENSIONS, COUNT)
    if lists:
        cut.write_bytes(lists.read_bytes()[:-1])
        with pytest.raises(WrongVectors):
            check_vectors(path, cut, DIMENSIONS, COUNT)


SEARCH = """
import sys, numpy as np
from pathlib import Path
from indexer.derive.nearest.vectors import read_vectors
lists = Path(sys.argv[2]) if sys.argv[2:] else None
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        index = read_vectors(path, lists)
    except RuntimeError:  # FAISS refuses some by itself
        continue
    index.search(np.ones((1, index.d), np.float32), 20)
"""


def test_faiss_can_read_whatever_is_accepted(vectors: tuple[Path, Path | None], tmp_path: Path) -> None:
    path, lists = vectors
    whole, chance, accepted = path.read_bytes(), random.Random(3), 0
    for number in range(ROUNDS * 10):
        data = bytearray(whole)
        place = chance.randrange(400) if chance.random() < 0.5 else chance.randrange(len(data) - 8)
        if chance.random() < 0.5:
            data[place] = chance.randrange(256)
        else:
            data[place : place + 8] = struct.pack("<Q", chance.choice((0, 1, 2**31, 2**40, 2**63, 2**64 - 1)))
        changed = tmp_path / f"{number:06}"
        changed.write_bytes(data)
        try:
            check_vectors(changed, lists, DIMENSIONS, COUNT)
            accepted += 1
        except WrongVectors:
            changed.unlink()
    assert accepted > ROUNDS // 3  # vectors themselves may be anything
    command = [sys.executable, "-c", SEARCH, str(tmp_path), *([str(lists)] if lists else [])]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.returncode == 0, found.stderr[-2000:]


def test_ids_that_are_not_there_are_left_out(own: Path) -> None:
    from indexer.query.nearest import proposals

    with indexer.open(own) as index:
        layer = index.layer(LAYER)
        inverted = faiss.index_factory(layer.info.channels, "IVF1,SQfp16", faiss.METRIC_INNER_PRODUCT)
        count = layer.peaks.shape[1] * len(layer.grid)
        some = np.random.default_rng(0).random((count, layer.info.channels), dtype=np.float32)
        inverted.train(some)
        inverted.add_with_ids(some, np.arange(count) * 1000)
        layer._vectors = inverted
        proposed = proposals.propose(layer, some[0], 50, None)
        assert len(proposed.positions) == len(proposed.scores) < 50
        assert (proposed.positions < inverted.ntotal).all()


# -- HDF5 -------------------------------------------------------------------------------------------------------------


def first_shard(index: Path) -> Path:
    return index / read_manifest(index).shards[0].file


def test_a_shard_cannot_show_another_file(own: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"root:x:0:0" * 100)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["id"] = np.arange(16)
    changes: dict[str, Callable[[h5py.File], Any]] = {
        "external storage": lambda file: file.create_dataset(
            "images/id", (16,), np.int64, external=[(str(tmp_path / "secret"), 0, 128)]
        ),
        "external link": lambda file: file.__setitem__("images/id", h5py.ExternalLink(str(other), "/id")),
        "soft link": lambda file: file.__setitem__("images/id", h5py.SoftLink("/images/width")),
        "virtual": lambda file: file.create_virtual_dataset("images/id", virtual_layout(other)),
    }
    path = first_shard(own)
    whole = path.read_bytes()
    for name, change in changes.items():
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            del file["images/id"]
            change(file)
        with pytest.raises(DamagedFile, match=r"link|stored in another file"):
            indexer.shards.reader.Shard(path)
        with indexer.open(own) as index:
            index.top_patches(LAYER, 0, limit=3)
            with pytest.raises(DamagedFile):
                index.activation_maps(1, LAYER)
        assert name


def virtual_layout(other: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout((16,), np.int64)
    layout[:] = h5py.VirtualSource(str(other), "id", (16,))
    return layout


@pytest.mark.parametrize("name", ["format", "configuration"])
def test_attributes_of_variable_length_are_not_read(own: Path, name: str) -> None:
    """HDF5 looks for them in a heap, where a damaged size holds it for ever."""
    path = first_shard(own)
    with h5py.File(path, "r+") as file:
        file.attrs[name] = file.attrs[name].decode()
    with pytest.raises(DamagedFile, match=r"000000\.h5.*(does not say its format|of fixed length)"):
        _ = indexer.shards.reader.Shard(path).attributes


def test_datasets_of_variable_length_are_not_read(own: Path) -> None:
    path = first_shard(own)
    with h5py.File(path, "r+") as file:
        paths = file["images/path"][()]
        del file["images/path"]
        file.create_dataset("images/path", data=paths.astype(object), dtype=h5py.string_dtype())
    with pytest.raises(DamagedFile, match="variable length"):
        indexer.shards.reader.Shard(path).images()


def test_a_shard_of_an_older_version_is_named(own: Path) -> None:
    path = first_shard(own)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "unitscope shard"  # as version 1 said it
        file.attrs["version"] = 1
    with pytest.raises(DamagedFile, match="format version 1, this program reads version 3"):
        indexer.shards.reader.Shard(path)


def test_what_claims_to_be_enormous_is_not_read(own: Path) -> None:
    path = first_shard(own)
    with h5py.File(path, "r+") as file:
        del file["images/id"]
        file.create_dataset("images/id", (10**13,), np.int64, chunks=(10**6,))
    with pytest.raises(DamagedFile, match="claims to have 80000000000000 bytes"):
        indexer.shards.reader.Shard(path)


@pytest.mark.parametrize(("channels", "side"), [(4, 4), (8, 2**12), (2**20, 2**10)])
def test_maps_of_another_shape_are_refused(own: Path, channels: int, side: int) -> None:
    with h5py.File(first_shard(own), "r+") as file:
        layer = file[f"layers/{LAYER}"]
        images, width = layer["present"].shape[0], side * side // 8
        del layer["present"]
        layer.create_dataset("present", (images, channels, width), np.uint8, chunks=(1, channels, width))
        layer.attrs["height"] = layer.attrs["width"] = side
    before = peak_kb()
    with indexer.open(own) as index, pytest.raises(DamagedFile):
        index.activation_maps(1, LAYER)
    assert peak_kb() - before < 200_000


def test_links_out_of_the_index_are_refused(own: Path, small_index: Path) -> None:
    path = first_shard(own)
    path.unlink()
    path.symlink_to(first_shard(small_index))
    with pytest.raises(DamagedFile, match="leaves the index"):
        indexer.open(own)
    path.unlink()
    inside = path.with_name("moved.h5")
    shutil.copy(first_shard(small_index), inside)
    path.symlink_to(inside)
    with indexer.open(own) as index:
        index.activation_maps(1, LAYER)


def test_a_pipe_in_place_of_a_file_is_refused_before_anybody_waits_for_it(own: Path) -> None:
    for path in (first_shard(own), next((own / "derived").rglob("*.faiss"))):
        kept = path.read_bytes()
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DamagedFile, match="is not a file") as caught:
            indexer.open(own)
        assert caught.value.file == path.relative_to(own).as_posix()
        sandbox.examine(own)
        path.unlink()
        path.write_bytes(kept)
    with indexer.open(own) as index:
        index.activation_maps(1, LAYER)


def test_too_many_open_files_are_no_damage(own: Path) -> None:
    path, (soft, hard) = first_shard(own), resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)  # the lowest number that is free
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(StorageUnavailable, match="too many files are open"):
            Shard(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    Shard(path).close()


# -- a process of its own ---------------------------------------------------------------------------------------------


def test_a_good_index_and_a_damaged_one_are_left_to_the_reader(own: Path) -> None:
    """`examine` lets them pass, in silence: what opens them answers, or refuses and names the file."""
    sandbox.examine(own)
    with Shard(first_shard(own)) as shard:
        assert shard.images()[0].path == "birds/photo 000.png"
    first_shard(own).write_bytes(b"no shard")
    sandbox.examine(own)
    with pytest.raises(DamagedFile) as caught:
        Shard(first_shard(own))
    assert "000000.h5" in caught.value.file
    (own / "manifest.json").write_text("{}")
    sandbox.examine(own)
    with pytest.raises(DamagedFile, match=r"manifest\.json"):
        indexer.open(own)


@pytest.mark.parametrize("harm", ["os.kill(os.getpid(), 11)", "bytearray(1 << 40)", "time.sleep(60)"])
def test_what_harms_its_reader_harms_another_process(own: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    shard = read_manifest(own).shards[1].file
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from indexer.query import sandbox\n"
        "sandbox.WAITED = 0.05\n"
        "read = sandbox._read_shard\n"
        "def harmful(path, layers):\n"
        f"    {harm} if path.name == {Path(shard).name!r} else read(path, layers)\n"
        "sandbox._read_shard = harmful\n"
        "sandbox.main(Path(sys.argv[-1]))\n"
    )
    run = subprocess.run
    monkeypatch.setattr(
        sandbox.subprocess, "run", lambda command, **options: run([sys.executable, "-c", code, command[-1]], **options)
    )
    with pytest.raises(DamagedFile, match="harms the process that reads it") as caught:
        sandbox.examine(own)
    assert caught.value.file == shard
