"""Networks of a person's own, as ``module:factory`` names them."""

from collections import OrderedDict

import torch
from torch import nn

PREPROCESSING = {"resize": (24,), "crop": (20, 28), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def small() -> tuple[nn.Module, dict]:
    """Two convolutions: "0" is linear, with neuron 0 always negative and neuron 1 a constant; "1" is its ReLU."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    with torch.no_grad():
        model[0].bias[0] = -100
        model[0].weight[1] = 0
        model[0].bias[1] = 2.5
    return model, PREPROCESSING


def large() -> tuple[nn.Module, dict]:
    """`small`, its first activations far beyond float16."""
    model, preprocessing = small()
    with torch.no_grad():
        model[0].weight[2] *= 1e7
    return model, preprocessing


class _Poisoned(nn.Module):
    """NaN on images that are bright on average."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x)
        return torch.where(x.mean(dim=(1, 2, 3), keepdim=True) > 1.5, torch.full_like(maps, torch.nan), maps)


def poisoned() -> tuple[nn.Module, dict]:
    return nn.Sequential(_Poisoned(), nn.ReLU()), PREPROCESSING


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.conv(self.act(x)))


def twice() -> tuple[nn.Module, dict]:
    return _Twice(), PREPROCESSING


def nothing() -> str:
    return "no model"


def unknown_preprocessing() -> tuple[nn.Module, object]:
    return nn.Conv2d(3, 3, 3), lambda picture: picture


class _Normed(nn.Module):
    """Batch norms that fold ("early.norm", "late.norm"), and two whose convolution is read elsewhere too."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 6, 3), norm=nn.BatchNorm2d(6), act=nn.ReLU(True)))
        self.fork, self.fork_norm = nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.again, self.again_norm = nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6)
        self.late = nn.Sequential(OrderedDict(conv=nn.Conv2d(6, 5, (3, 1)), norm=nn.BatchNorm2d(5)))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight, module.bias, module.running_mean):
                    nn.init.normal_(values)
                nn.init.uniform_(module.running_var, 0.2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.early(x)
        forked = self.fork(x)
        x = self.again_norm(self.again(self.fork_norm(forked) + forked))
        return self.late(self.again(x).relu_())


def normed() -> tuple[nn.Module, dict]:
    return _Normed(), PREPROCESSING


def planted() -> tuple[nn.Module, dict]:
    """Neurons of layer "1": 0 to 2 for red, green and blue, 3 dead, 4 twice neuron 0, 5 for brightness; "4" answers."""
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    with torch.no_grad():
        colours = 1.5 * torch.eye(3) - 0.5
        weight = torch.cat([colours, torch.zeros(1, 3), 2 * colours[:1], torch.ones(1, 3)])
        model[0].weight[:] = weight[:, :, None, None]
        model[0].bias[:] = torch.tensor([0, 0, 0, -1, 0, 8.0])
        model[4].weight[:] = torch.eye(3, 6)
        model[4].bias[:] = 0
    return model, PREPROCESSING


def planted_probabilities() -> tuple[nn.Module, dict]:
    """`planted`, which ends with a softmax, layer "5"."""
    return nn.Sequential(*planted()[0], nn.Softmax(dim=1)), PREPROCESSING


def planted_log_probabilities() -> tuple[nn.Module, dict]:
    """`planted`, which ends with the logarithm of a softmax, layer "5"."""
    return nn.Sequential(*planted()[0], nn.LogSoftmax(dim=1)), PREPROCESSING


def faint() -> tuple[nn.Module, dict]:
    """A vector, layer "2", of 60 activations so small that many are rounded to 0 where they are kept."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 60))
    with torch.no_grad():
        numbers = torch.arange(60.0)
        model[2].weight[:] = torch.stack([(numbers * 7) % 11 - 5, (numbers * 5) % 13 - 6, (numbers * 3) % 7 - 3], dim=1)
        model[2].bias[:] = (numbers * 11) % 17 - 8
        for parameter in model[2].parameters():
            parameter *= 4e-9
    return model, PREPROCESSING


def wide() -> tuple[nn.Module, dict]:
    """64 neurons each in "1" and "3", with maps of 5 x 7 cells, and in "6", which answers with 64 classes."""
    model = nn.Sequential(
        nn.Conv2d(3, 64, 4, stride=4), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(64, 64),
    )  # fmt: skip
    return model, PREPROCESSING


class _Spread(nn.Module):
    """Everything of an image, spread over a map of a given shape (C, H, W)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.conv, self.shape = nn.Conv2d(3, shape[0], 3), shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(self.conv(x), self.shape[1:])


def huge() -> tuple[nn.Module, dict]:
    """The last layer, "1", has more cells than a map may have."""
    return nn.Sequential(nn.ReLU(), _Spread(1, 4100, 4100)), PREPROCESSING


def long() -> tuple[nn.Module, dict]:
    """The last layer, "1", has more cells in a row than a map may have."""
    return nn.Sequential(nn.ReLU(), _Spread(1, 1, 65537)), PREPROCESSING


def many() -> tuple[nn.Module, dict]:
    """The last layer, "2", has more neurons than a layer may have."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 65537))
    return model, PREPROCESSING


def frozen() -> tuple[nn.Module, dict]:
    """The network of the indexes in tests/frozen, which must never change: "0" has negative maps, "4" is a vector."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    with torch.no_grad():
        for parameter in model.parameters():  # sixteenths: exact in every precision, on every machine
            numbers = torch.arange(parameter.numel())
            parameter.copy_(((numbers * 37 + numbers // 5 * 11) % 33 - 16).reshape(parameter.shape) / 16)
    return model, PREPROCESSING


def shuffled() -> tuple[nn.Module, dict]:
    """Eight neurons of which a weights file may have the same in another order; "1" is their map."""
    return nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU()), PREPROCESSING
