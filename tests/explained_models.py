"""Networks whose answers are explained: each has layers a, b and head, and another way from one to the next."""

import torch
from torch import nn
from torch.nn import functional

TOLD = {"resize": (24, 36), "crop": None, "mean": 0.5, "std": 0.25}
SIZE = (24, 36)


class Net(nn.Module):
    """Two convolutions, a mean over the map, and a linear head."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.b(self.a(x).relu()).relu().mean((2, 3)))


class Residual(Net):
    """Layer b lies in a branch, which a skip passes by."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.a(x).relu()
        return self.head((maps + self.b(maps)).relu().mean((2, 3)))


class InPlace(Net):
    """The skip adds in place, and the ReLU behind layer a rewrites its output."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = functional.relu(self.a(x), inplace=True)
        summed = self.b(maps)
        summed += maps
        summed.relu_()
        return self.head(summed.mean((2, 3)))


class Concatenating(Net):
    """Two branches from the image itself, so that neither a nor b is a cut."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__(outputs)
        self.b, self.head = nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.Linear(12, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.a(x), self.b(x)], 1).relu().mean((2, 3)))


class Functional(Net):
    """Functions and bare weights in place of modules."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__(outputs)
        self.scale = nn.Parameter(torch.rand(6, 1, 1) + 0.5)
        self.register_buffer("shift", torch.rand(6, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = functional.max_pool2d(functional.gelu(self.a(x) * self.scale + self.shift), 2)
        return self.head(functional.adaptive_avg_pool2d(torch.sigmoid(self.b(maps)), 1).flatten(1))


class Counting(Net):
    """Computes with the number of images, which a graph then holds as a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.b(self.a(x).relu()).relu()
        return self.head(maps.reshape(x.size(0), 6, -1).sum(2) / len(maps[0][0]))


class Branching(Net):
    """Takes one way or the other by what it sees, so that it cannot be traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.a(x).relu()
        maps = self.b(maps) if float(maps.abs().max()) > -1 else maps
        return self.head(maps.relu().mean((2, 3)))


class Keeping(Net):
    """Keeps the skip on itself, from one step to the next."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.skip = self.a(x).relu()
        summed = self.b(self.skip)
        return self.head((summed + self.skip).relu().mean((2, 3)))


NETS: dict[str, type[Net]] = {
    net.__name__: net for net in (Net, Residual, InPlace, Concatenating, Functional, Counting, Branching, Keeping)
}


def made(net: str = "Net", seed: int = 0, outputs: int = 3) -> tuple[nn.Module, dict]:
    """A network by its name, with weights of a seed."""
    torch.manual_seed(seed)
    return NETS[net](outputs), TOLD


class Tokens(nn.Module):
    """A list of places in place of a map, with or without a token that comes before."""

    def __init__(self, prefix: int) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 6, 4, stride=4), nn.Linear(6, 6), nn.Linear(6, 3)
        self.first = nn.Parameter(torch.randn(1, prefix, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = torch.cat([self.first.expand(len(x), -1, -1), self.a(x).flatten(2).transpose(1, 2)], 1)
        mixed = self.b(tokens).relu()
        return self.head(mixed[:, 0] + mixed.mean(1))
