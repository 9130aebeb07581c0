"""What a new interpreter has loaded after an import: what is large comes when it is needed, and not before."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = {"numpy", "torch", "torchvision", "faiss", "h5py", "PIL", "flask", "waitress"}
TORCH = {"torch", "torchvision", "numba"}


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("indexer, indexer.errors", LIBRARIES),
        ("service, service.errors", LIBRARIES),
        # The process that starts the others.
        ("service.__main__, service.processes.supervisor", LIBRARIES),
        ("service.tokens", LIBRARIES),
        # A process that answers requests: only one that runs the network needs torch.
        ("service.app, service.processes.request_worker, service.processes.server", TORCH),
        ("indexer.query.index, indexer.pictures", TORCH),
    ],
)
def test_what_an_import_loads(modules: str, forbidden: set[str]) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not forbidden & set(done.stdout.split())


def test_torch_comes_with_the_network() -> None:
    code = "import sys; from service.inference.loader import Networks; before = 'torch' in sys.modules; "
    code += "Networks.preload(); print(before, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


COMPILER = """
import sys
import torch
from indexer.index.loading import PLAIN
from indexer.network.answering import answering
from indexer.network.models import load_model
from indexer.receptive_field.trace import trace_layers
from indexer.system.compiler import kept_out
from indexer.synthesis.ascending.adam import Adam
from indexer.system.torchvision import torchvision
traces = trace_layers(torchvision.models.squeezenet1_1(), ["features.12"], (96, 128))
assert traces["features.12"].field.kind == "exact"
found = answering(load_model("squeezenet1_1", "none", PLAIN, None))
assert found.modules and found.total > 0
changed = torch.zeros(2, requires_grad=True)
adam = Adam([changed], 0.1)
adam.forget()
(changed - 1).square().sum().backward()
adam.step()
assert torch.allclose(changed, torch.tensor(0.1))
assert not {"torch._dynamo", "sympy", "torch.fx.experimental.symbolic_shapes"} & sys.modules.keys()
with kept_out():
    import sympy
    from torch.fx.experimental.symbolic_shapes import guard_or_false, sym_eq, sym_and, ShapeEnv, is_concrete_int
    assert (guard_or_false(True), sym_eq((1, 2), [1, 2])) == (True, True)
    assert (sym_eq(1, 2), sym_and(True, False)) == (False, False)
    Basic = sympy.Basic
    assert isinstance(sympy.Symbol("x"), Basic) and not isinstance(1, Basic) and is_concrete_int(3)
assert sympy.Basic is sys.modules["sympy"].Basic
with kept_out():
    import torch._dynamo  # a stand-in still
    from torch._dynamo.utils import counters
    from torch._dynamo import config, disable
assert sys.modules["torch._dynamo"].__file__ and sys.modules["torch._dynamo.utils"].counters is counters
assert isinstance(torchvision.ops.roi_align.__globals__["is_compile_supported"]("cpu"), bool)
assert torch.cat([torch.ones(1, device="meta")] * 2).shape == (2,)  # traced before without the compiler
assert torch._dynamo.disable is disable
"""


def test_a_network_is_traced_without_torchs_compiler_which_comes_when_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_the_store_knows_where_a_file_is() -> None:
    """Code outside asks `indexer.store.storage.storage_at`; it never asks which kind of path it has."""
    root = Path(__file__).parents[1]
    told: list[str] = []
    for package in ("indexer", "service", "unitscope"):
        for file in sorted((root / package).rglob("*.py")):
            if file.parent != root / "indexer" / "store":
                told += [f"{file.relative_to(root)}, line {line}" for line in kinds_told(file.read_text("utf-8"))]
    assert told == []


KINDS = {"Path", "PosixPath", "PurePath", "RemotePath", "Status", "LocalStorage", "RemoteStorage"}


def kinds_told(source: str) -> list[int]:
    """Lines of a program that tell kinds of paths apart, or name the one of buckets."""
    nodes = [*ast.walk(ast.parse(source))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and names_in(node.func) & {"isinstance", "type"}]
    told = [call.lineno for call in calls if names_in(call) & KINDS]
    named = [node.lineno for node in nodes if isinstance(node, ast.ImportFrom) and "RemotePath" in names_in(node)]
    return sorted({*told, *named})


def names_in(node: ast.AST) -> set[str]:
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    names |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    return names | {each.name for each in ast.walk(node) if isinstance(each, ast.alias)}


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("if isinstance(path, RemotePath): pass", [1]),
        ("x = 1\ny = not isinstance(path, (str, remote.RemotePath))", [2]),
        ("if isinstance(root, pathlib.Path): pass", [1]),
        ("from indexer.store.remote import RemotePath", [1]),
        ("if isinstance(value, str): pass\nstorage_at(Path('a')).read(3)", []),
    ],
)
def test_kinds_are_seen(source: str, lines: list[int]) -> None:
    assert kinds_told(source) == lines
