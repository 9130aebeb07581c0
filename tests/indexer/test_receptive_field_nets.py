"""Receptive fields of small nets, every cell against gradients."""

import random
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from indexer.images.geometry import Box
from indexer.receptive_field.trace import trace_layers
from tests.indexer.test_receptive_field_twin import assert_equals_gradients, gradient_boxes, one_thread, smooth_copy
from tests.marks import seeds

__all__ = ["one_thread"]

SIZE = (23, 31)


class Apply(nn.Module):
    """A function of the map as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


class Branches(nn.Module):
    """Parallel branches, cropped to a common size and joined."""

    def __init__(self, branches: list[nn.Module], join: str) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outs = [branch(x) for branch in self.branches]
        height, width = min(out.shape[2] for out in outs), min(out.shape[3] for out in outs)
        outs = [out[:, :, :height, -width:] for out in outs]
        return torch.cat(outs, 1) if self.join == "cat" else sum(outs[1:], outs[0])


NETS: dict[str, Callable[[], nn.Module]] = {
    "dilation": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, dilation=(2, 3)), nn.Conv2d(2, 2, 2, stride=2, dilation=4)),
    "unequal axes": lambda: nn.Conv2d(3, 2, (5, 2), stride=(1, 3), padding=(3, 0)),
    "same padding": lambda: nn.Sequential(nn.Conv2d(3, 2, (4, 3), padding="same"), nn.Conv2d(2, 2, 3, padding="valid")),
    "padding wider than the kernel": lambda: nn.Sequential(nn.Conv2d(3, 2, 1, padding=2), nn.Conv2d(2, 2, 3)),
    "ceil mode": lambda: nn.Sequential(
        nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(3, 2, 3, padding=1)
    ),
    "stride beyond kernel": lambda: nn.Sequential(nn.MaxPool2d(2, 3), nn.Conv2d(3, 2, 1, stride=2)),
    "pixels left over at the end": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=5), nn.Conv2d(2, 2, 3, padding=1)),
    "dilated pool": lambda: nn.MaxPool2d((2, 3), 2, (1, 1), (1, 2)),
    "adaptive pooling": lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d((5, 8)), nn.Conv2d(2, 2, 2)),
    "adaptive pooling upwards": lambda: nn.Sequential(nn.MaxPool2d(5), nn.AdaptiveAvgPool2d((7, 9))),
    "reflection": lambda: nn.Sequential(nn.Conv2d(3, 2, 5, padding=4, padding_mode="reflect"), nn.ReflectionPad2d(3)),
    "replication": lambda: nn.Sequential(nn.ReplicationPad2d((1, 4, 2, 3)), nn.Conv2d(3, 2, 3)),
    "circular": lambda: nn.Conv2d(3, 2, 3, padding=(1, 2), padding_mode="circular"),
    "zero padding": lambda: nn.Sequential(nn.ZeroPad2d((0, 5, 3, 1)), nn.Conv2d(3, 2, 3, stride=2), nn.MaxPool2d(2)),
    "cropping": lambda: nn.Sequential(Apply(lambda x: F.pad(x, (-2, 1, 3, -4))), nn.Conv2d(3, 2, 3, padding=1)),
    "transposed convolution": lambda: nn.Sequential(
        nn.Conv2d(3, 2, 3, stride=3), nn.ConvTranspose2d(2, 2, (3, 4), stride=2, padding=1, output_padding=1)
    ),
    "dilated transposed convolution": lambda: nn.ConvTranspose2d(3, 2, 3, stride=3, dilation=2, padding=2),
    "nearest": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), nn.Upsample(scale_factor=2), nn.Conv2d(2, 2, 3)),
    "nearest by a fraction": lambda: nn.Upsample(scale_factor=1.7),
    "nearest exact": lambda: nn.Upsample(size=(9, 44), mode="nearest-exact"),
    "bilinear": lambda: nn.Sequential(nn.MaxPool2d(4), nn.Upsample(scale_factor=2, mode="bilinear")),
    "bilinear with corners": lambda: nn.Upsample(size=(11, 40), mode="bilinear", align_corners=True),
    "bilinear to a size": lambda: Apply(lambda x: F.interpolate(x, size=(50, 12), mode="bilinear")),
    "pixel shuffle": lambda: nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.PixelShuffle(2), nn.Conv2d(2, 2, 3)),
    "slices": lambda: nn.Sequential(Apply(lambda x: x[..., 3:, 1::2]), nn.Conv2d(3, 2, 3), Apply(lambda x: x[:, 1:])),
    "roll": lambda: nn.Sequential(nn.Conv2d(3, 2, 3), Apply(lambda x: torch.roll(x, (2, -5), (2, 3)))),
    "flip": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), Apply(lambda x: x.flip(-1))),
    "channels last": lambda: nn.Sequential(
        Apply(lambda x: x.permute(0, 2, 3, 1)), nn.LayerNorm(3), nn.Linear(3, 4), Apply(lambda x: x.transpose(1, 3)),
        Apply(lambda x: x.transpose(2, 3)), nn.Conv2d(4, 2, 3),
    ),
    "windows by reshaping": lambda: nn.Sequential(
        nn.Conv2d(3, 2, 2, padding=(1, 1)),
        Apply(lambda x: x.reshape(*x.shape[:2], 6, 4, 8, 4).softmax(3).softmax(5).reshape(x.shape)),
    ),
    "split channels": lambda: nn.Sequential(
        Branches([nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(3, 2, 1)], "cat"), nn.ChannelShuffle(2),
        Apply(lambda x: x.chunk(2, 1)[0]), nn.Conv2d(2, 2, 1),
    ),
    "one half of split channels": lambda: nn.Sequential(
        Branches([nn.Conv2d(3, 2, 5, padding=2), nn.Conv2d(3, 2, 1)], "cat"),
        Apply(lambda x: torch.split(x, 2, 1)[1]), nn.Conv2d(2, 2, 1),
    ),
    "groups": lambda: nn.Sequential(
        Branches([nn.Conv2d(3, 2, 5, padding=2), nn.Conv2d(3, 2, 1)], "cat"), nn.Conv2d(4, 4, 3, groups=2),
        Apply(lambda x: x[:, 2:]),
    ),
    "branches of unlike strides": lambda: Branches([nn.Conv2d(3, 2, 5, 2), nn.Conv2d(3, 2, 1, 3)], "add"),
    "constant columns": lambda: nn.Sequential(
        Apply(lambda x: torch.cat([torch.ones_like(x[..., :3]), x, torch.zeros(1, 3, 23, 1).expand_as(x[..., :1])], 3)),
        nn.Conv2d(3, 2, 3),
    ),
    "sizes that the model computes": lambda: Apply(
        lambda x: F.pad(x, (0, max(-x.shape[-1] % 8, 0), 0, -x.size(2) % 8)) if x.shape[2] % 8 else x
    ),
    "vector": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=4), nn.Flatten(), nn.Linear(2 * 6 * 8, 5)),
    "mean": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=7), Apply(lambda x: x.mean((2, 3)))),
    "norm of channels": lambda: nn.Sequential(nn.Conv2d(3, 2, 3), Apply(lambda x: x / x.norm(dim=1, keepdim=True))),
    "norms of rows": lambda: Apply(lambda x: x * torch.linalg.vector_norm(x, dim=3, keepdim=True)),
    "running sum": lambda: nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), Apply(lambda x: x.cumsum(-1))),
    "repeated columns": lambda: nn.Sequential(nn.Conv2d(3, 2, 3), Apply(lambda x: x.repeat_interleave(3, 3))),
    "moved dimensions": lambda: Apply(lambda x: x.movedim(1, -1).movedim((3, 1), (1, 2))),
    "root of mean squares": lambda: nn.Sequential(nn.Conv2d(3, 2, 3), nn.LPPool2d(2, (3, 2), stride=2)),
    "pixel unshuffle": lambda: nn.Sequential(
        Apply(lambda x: x[..., :22, :30]), nn.PixelUnshuffle(2), nn.Conv2d(12, 2, 3)
    ),
    "patches": lambda: nn.Sequential(
        nn.Unfold((3, 4), padding=(1, 2), stride=(2, 3)), Apply(lambda x: x.reshape(x.shape[0], 36, 12, 11)),
    ),
    "patches mixed and folded": lambda: Apply(
        lambda x: F.fold(F.unfold(x, 3, padding=1, stride=2).softmax(1), SIZE, 3, padding=1, stride=2)
    ),
    "patches folded as they are": lambda: Apply(
        lambda x: F.fold(F.unfold(x, (3, 5), dilation=(2, 1)), SIZE, (3, 5), dilation=(2, 1))
    ),
    "sums of rows": lambda: Apply(lambda x: x * x.mean(3, keepdim=True)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", NETS)
def test_small_nets(name: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(NETS[name]())
    assert_equals_gradients(net, ["0"], SIZE)


def random_layer(chance: random.Random) -> nn.Module:
    """One layer of 3 channels that keeps at least half of a map."""
    size = (chance.randint(1, 3), chance.randint(1, 4))
    stride = (chance.randint(1, 2), chance.randint(1, 2))
    padding = (chance.randint(0, size[0] // 2), chance.randint(0, size[1] // 2))
    spread = (chance.randint(1, 2), chance.randint(1, 2))
    ceil = chance.random() < 0.5
    return chance.choice(
        [
            lambda: nn.Conv2d(3, 3, size, stride, padding, spread),
            lambda: nn.Conv2d(3, 3, size, stride, padding, groups=3),
            lambda: nn.MaxPool2d(size, stride, padding, ceil_mode=ceil),
            lambda: nn.AvgPool2d(size, stride, padding, ceil_mode=ceil),
            lambda: nn.ConvTranspose2d(3, 3, (size[0] + 1, size[1] + 1), stride),
            lambda: nn.Upsample(scale_factor=2, mode=chance.choice(["nearest", "bilinear"])),
            lambda: nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()),
        ]
    )()


def random_net(seed: int) -> nn.Module:
    chance = random.Random(seed)
    layers: list[nn.Module] = []
    for _ in range(chance.randint(2, 3)):
        if chance.random() < 0.35:
            branches = [random_layer(chance) for _ in range(2)]
            layers += [Branches(branches, chance.choice(["cat", "add"])), nn.LazyConv2d(3, 1)]
        else:
            layers.append(random_layer(chance))
    layers.append(nn.ZeroPad2d(chance.choice([0, (1, 0, 0, 2)])))
    return nn.Sequential(*layers)


@pytest.mark.parametrize("seed", seeds(80, 30))
def test_random_nets(seed: int) -> None:
    torch.manual_seed(seed)
    net = random_net(seed)
    size = (19, 26)
    with torch.no_grad():
        net(torch.zeros(1, 3, *size))  # gives the lazy layers their sizes
    assert_equals_gradients(net, [str(len(net) - 1)], size, seed)


def test_boxes_that_are_no_product_of_rows_and_columns() -> None:
    # Every fourth place, in rows and columns, sees 5 by 5 pixels and the others one.
    branches = Branches([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 1, 5, padding=2)], "cat")
    net = nn.Sequential(branches, nn.PixelShuffle(2), nn.AdaptiveAvgPool2d(1))
    traces = trace_layers(net, ["0", "1", "2"], SIZE)
    assert [traces[layer].field.kind for layer in "012"] == ["exact", "measured", "exact"]
    assert traces["1"].field.reason == (
        "measured by gradients on 2 random images, as the cells' boxes are not a product of rows and columns"
    )
    assert traces["1"].field.box(5, 5) == Box(0, 0, 5, 5)
    assert traces["1"].field.box(4, 4) == Box(2, 2, 3, 3)


class Gate(nn.Module):
    """A map times what all of it says: squeeze and excitation, by `pool`."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.before, self.pool, self.after = nn.Conv2d(3, 3, 3, padding=1), pool, nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x)
        return self.after(x * self.pool(x))


class SelfAttention(nn.Module):
    """All places attend to all others, by hand, beside a residual path."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = x.flatten(2).transpose(1, 2)
        weights = torch.softmax(places @ places.transpose(-2, -1), -1)
        return x + (weights @ places).transpose(1, 2).reshape(x.shape)


MIXERS: dict[str, Callable[[], nn.Module]] = {
    "adaptive pooling": lambda: Gate(nn.AdaptiveAvgPool2d(1)),
    "mean": lambda: Gate(Apply(lambda x: x.mean((2, 3), keepdim=True))),
    "a window as large as the map": lambda: Gate(Apply(lambda x: F.avg_pool2d(x, x.shape[2:]))),
    "instance norm": lambda: nn.Sequential(nn.Conv2d(3, 3, 3), nn.InstanceNorm2d(3), nn.Conv2d(3, 2, 2)),
    "group norm": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 2)),
    "layer norm": lambda: nn.Sequential(nn.Conv2d(3, 3, 3), nn.LayerNorm((3, 11, 15)), nn.Conv2d(3, 2, 2)),
    "attention by hand": lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), SelfAttention()),
}


@pytest.mark.parametrize("name", MIXERS)
def test_mixers(name: str) -> None:
    torch.manual_seed(0)
    size = (13, 17)
    net = nn.Sequential(MIXERS[name]())
    trace = trace_layers(net, ["0"], size)["0"]
    field = trace.field
    assert field.kind == "whole input"
    assert field.y is not None
    assert field.x is not None
    cells = [(0, 0), (len(field.y.intervals) // 2, 3), (len(field.y.intervals) - 1, len(field.x.intervals) - 1)]
    whole = gradient_boxes(smooth_copy(net), {"0": cells}, {"0": trace.dims}, size)["0"]
    assert {(box.left, box.top, box.right, box.bottom) for box in whole} == {(0, 0, 17, 13)}
    convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    alone = nn.Sequential(nn.Sequential(*convolutions))
    expected = trace_layers(alone, ["0"], size)["0"].field
    assert (field.y, field.x) == (expected.y, expected.x)
