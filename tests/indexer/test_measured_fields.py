"""Networks that a graph does not show at once: hooks, wrappers, reparametrised weights, code that asks for values."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.receptive_field.measuring.straight import StraightThrough
from indexer.receptive_field.trace import trace_layers
from tests.indexer.test_receptive_field_twin import gradient_boxes, one_thread, smooth_copy, window_sum

__all__ = ["one_thread"]

SIZE = (26, 34)


class Values(nn.Module):
    """Asks for values, so that no graph can be made behind it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if float(x.detach().mean()) > 1e9 else x


class Wrap(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.net(*args, **kwargs)


class Kept(nn.Module):
    """A skip connection that a hook of its own keeps: bound, enclosed, or on a module that is traced through."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2)) if how == "inner" else nn.Conv2d(3, 8, 5, padding=2)
        self.mid, self.dec = nn.Conv2d(8, 8, 1), nn.Conv2d(16, 8, 1)
        self.kept: dict[str, torch.Tensor] = {}
        kept = self.kept
        hook = (lambda module, args, out: kept.update(enc=out)) if how == "enclosed" else self.keep
        self.enc.register_forward_hook(hook)

    def keep(self, module: nn.Module, args: Any, out: torch.Tensor) -> None:
        self.kept["enc"] = out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dec(torch.cat([self.mid(self.enc(x)[:, :, :1, :1]).expand(-1, -1, *SIZE), self.kept["enc"]], 1))


class Locked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lock, self.random = threading.Lock(), torch.Generator()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with self.lock:
            return self.conv(x)


def pruned() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def old(norm: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), norm(nn.Conv2d(8, 8, 3)))


def changed_by_hook() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    model[0].register_forward_pre_hook(lambda module, args: (F.pad(args[0], (1, 1, 1, 1)),))
    model[1].register_forward_hook(lambda module, args, out: F.avg_pool2d(out, 2))
    return model


EXACT: dict[str, tuple[Callable[[], nn.Module], str, Box]] = {
    "args": (lambda: Wrap(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())), "net.0", Box(8, 5, 11, 8)),
    "args within": (lambda: nn.Sequential(Wrap(nn.Conv2d(3, 8, 3))), "0", Box(8, 5, 11, 8)),
    "data parallel": (lambda: nn.DataParallel(nn.Sequential(nn.Conv2d(3, 8, 3))), "module.0", Box(8, 5, 11, 8)),
    "pruned": (pruned, "2", Box(8, 5, 13, 10)),
    "pruned itself": (pruned, "0", Box(8, 5, 11, 8)),
    "new weight norm": (lambda: old(parametrizations.weight_norm), "1", Box(8, 5, 13, 10)),
    "new spectral norm": (lambda: old(parametrizations.spectral_norm), "1", Box(8, 5, 13, 10)),
    "old weight norm": (lambda: old(weight_norm), "1", Box(8, 5, 13, 10)),
    "old spectral norm": (lambda: old(spectral_norm), "1", Box(8, 5, 13, 10)),
    "a lock and a generator": (lambda: Locked(), "conv", Box(8, 5, 11, 8)),
    "a hook that keeps": (lambda: Kept("bound"), "enc", Box(6, 3, 11, 8)),
    "hooks that change": (changed_by_hook, "1", Box(15, 9, 21, 15)),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", EXACT)
def test_followed(name: str) -> None:
    make, layer, expected = EXACT[name]
    model = make().eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, *SIZE))  # leaves computed weights behind, which cannot be copied
        model.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    trace = trace_layers(model, [layer], SIZE)[layer]
    assert (trace.field.kind, trace.field.reason) == ("exact", None)
    assert trace.field.box(5, 8) == expected
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("how", ["bound", "enclosed", "inner"])
def test_what_a_hook_keeps_is_seen(how: str) -> None:
    torch.manual_seed(0)
    model = Kept(how).eval()
    trace = trace_layers(model, ["enc", "dec"], SIZE)
    assert trace["enc"].field.box(9, 9) == Box(7, 7, 12, 12)
    assert trace["dec"].field.box(9, 9) == Box(0, 0, 12, 12)  # the corner that all see, and its own place


MEASURED: dict[str, Callable[[], nn.Module]] = {
    "convolutions": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, (3, 1))),
    "maxima": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 4, 3), nn.ReLU()),
    "ceil and dilation": lambda: nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d((2, 3), 1, 1, (2, 1))),
    "in place": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 5, padding=2)),
    "padding": lambda: nn.Sequential(nn.ZeroPad2d((3, 0, 2, 1)), nn.Conv2d(3, 4, 3), nn.Hardswish()),
}


@pytest.mark.parametrize("name", MEASURED)
def test_measured_fields_equal_those_of_the_twin(name: str) -> None:
    torch.manual_seed(0)
    net = MEASURED[name]()
    model = nn.Sequential(Values(), net).eval()
    field = trace_layers(model, ["1"], SIZE)["1"].field
    assert field.kind == "measured"
    assert field.reason is not None
    assert field.reason.startswith("measured by gradients on 2 random images, as torch.fx cannot trace")
    assert field.y is not None
    assert field.x is not None
    cells = [(i % len(field.y.intervals), i % len(field.x.intervals)) for i in (0, 1, 3, 5, 8, 11)]
    dims = {"0": ("N", "C", "y", "x")}
    found = gradient_boxes(smooth_copy(nn.Sequential(net)), {"0": cells}, dims, SIZE)["0"]
    for cell, box in zip(cells, found, strict=True):
        claimed = field.box(*cell)
        assert claimed is not None
        assert claimed == box or claimed.area == box.area == 0, (cell, claimed, box)


class Detached(nn.Module):
    """Influence without a gradient."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_numpy(F.avg_pool2d(x, 5, 1, 2).detach().numpy())


def test_influence_that_has_no_gradient_is_found_by_changing_the_image() -> None:
    field = trace_layers(nn.Sequential(Detached()), ["0"], SIZE)["0"].field
    assert field.kind == "measured"
    assert field.reason is not None
    assert field.reason.startswith("measured by changing 32 bands")
    box = field.box(10, 12)
    assert box is not None
    assert box.left <= 10 < 15 <= box.right
    assert box.top <= 8 < 13 <= box.bottom
    assert box.height <= 5 + 2
    assert box.width <= 5 + 4


class Windows(nn.Module):
    """Attention along halves of each row, by a constant mask over all of it."""

    def __init__(self) -> None:
        super().__init__()
        half = (torch.arange(34) < 17).float()
        self.register_buffer("mask", -100.0 * (half[:, None] != half[None]).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.permute(0, 2, 3, 1)
        weights = rows @ rows.transpose(-2, -1) + self.mask
        return (weights.softmax(-1) @ rows).permute(0, 3, 1, 2)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_constant_mask_is_no_influence(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Windows(), nn.Conv2d(8, 4, 1))
    for layer in "12":
        trace = trace_layers(model, [layer], SIZE)[layer]
        assert trace.field.kind == "measured"
        assert "adds a mask" in (trace.field.reason or "")
        assert trace.dims == ("N", "C", "y", "x")
        assert trace.field.box(3, 16) == Box(0, 3, 17, 4)
        assert trace.field.box(3, 17) == Box(17, 3, 34, 4)


class Stale(nn.Module):
    """Reads what an earlier part has kept where no graph sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.out = nn.Conv2d(3, 4, 9, padding=4), nn.Conv2d(3, 4, 1)
        self.store = Store()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.store.keep(self.wide(x))
        return self.out(x) + self.store.value()


class Store:
    values: list[Any] = []  # noqa: RUF012 - one for all, on purpose

    def keep(self, value: Any) -> None:
        self.values[:] = [value]

    def value(self) -> Any:
        return self.values[0] if isinstance(self.values[0], torch.Tensor) else 0.0


def test_an_exact_field_is_checked_against_the_network_as_it_runs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Stale()).eval()
    trace = trace_layers(model, ["0"], SIZE)["0"]
    assert trace.field.kind == "measured"
    assert "more changes than the graph" in (trace.field.reason or "")
    assert trace.field.box(10, 12) == Box(8, 6, 17, 15)


class Refusing(nn.Module):
    """Refuses every image; torch.fx cannot follow it, so that a copy is run."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if float(x.sum()) != 0.5:
            raise KeyError("this height")
        return self.conv(x)


@pytest.mark.parametrize("size", [(24, 48), (40, 56)])
def test_what_a_network_raises_while_it_is_measured_is_named_with_its_line(size: tuple[int, int]) -> None:
    said = rf"images of height {size[0]} and width {size[1]}: KeyError: 'this height' \(test_measured_fields\.py:\d+\)"
    with pytest.raises(InvalidRequest, match=said):
        trace_layers(Refusing().eval(), ["conv"], size)


def test_straight_gradients_leave_values_as_they_are() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 11, 14, dtype=torch.float64, requires_grad=True)
    for options in ({"stride": 2, "ceil_mode": True}, {"stride": 3, "padding": 1}, {"stride": 1, "dilation": 2}):
        with StraightThrough():
            found = F.max_pool2d(x, 3, **options)
        torch.testing.assert_close(found, F.max_pool2d(x, 3, **options))
        (ours,) = torch.autograd.grad(found.sum(), x)
        (expected,) = torch.autograd.grad(window_sum(F.max_pool2d, 2, x, 3, **options).sum(), x)
        torch.testing.assert_close(ours, expected)
    with StraightThrough():
        (gradient,) = torch.autograd.grad(F.relu(x).sum(), x)
    assert (gradient == 1).all()
