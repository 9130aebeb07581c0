"""Networks as people bring them: telling little of themselves, in odd precisions, raising what they like."""

import torch
from torch import nn
from torchvision.transforms import v2

TOLD = {"resize": (24, 36), "crop": None, "mean": 0.5, "std": 0.25}


def plain() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def bare() -> nn.Module:
    return plain()


def figures() -> tuple[nn.Module, dict]:
    return plain(), {"mean": 0.5, "std": 0.25}


def composed() -> tuple[nn.Module, object]:
    steps = [v2.Resize(24), v2.CenterCrop((24, 36)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    return plain(), v2.Compose([*steps, v2.Normalize([0.5, 0.4, 0.3], [0.25])])


def told() -> tuple[nn.Module, dict]:
    return plain(), TOLD


def half() -> tuple[nn.Module, dict]:
    return plain().half(), TOLD


def double() -> tuple[nn.Module, dict]:
    return plain().double(), TOLD


def mixed() -> tuple[nn.Module, dict]:
    module = plain()
    module[0].bfloat16()
    return module, TOLD


def scripted() -> tuple[nn.Module, dict]:
    return torch.jit.script(plain()), TOLD


def scripted_inside() -> tuple[nn.Module, dict]:
    module = plain()
    return nn.Sequential(torch.jit.trace(module[:2].eval(), torch.zeros(1, 3, 24, 36)), module[2:]), TOLD


def scripted_part() -> tuple[nn.Module, dict]:
    module = plain()
    return nn.Sequential(torch.jit.script(module[:2].eval()), module[2:]), TOLD


def exported() -> tuple[object, dict]:
    batch = torch.export.Dim("batch", min=1, max=1024)
    example = torch.zeros(2, 3, 24, 36)
    return torch.export.export(plain().eval(), (example,), dynamic_shapes=({0: batch},)), TOLD


def flat() -> tuple[object, dict]:
    return torch.export.export(plain().eval(), (torch.zeros(2, 3, 24, 36),)).module(), TOLD


def lazy() -> tuple[nn.Module, dict]:
    return nn.Sequential(nn.LazyConv2d(5, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(7)), TOLD


def raising() -> nn.Module:
    raise ValueError("no such run: resnet_7")


def exiting() -> nn.Module:
    raise SystemExit(2)


def sized(width: int, *, bias: bool = True, kind: str = "a") -> tuple[nn.Module, dict]:
    return nn.Sequential(nn.Conv2d(3, width, 3, bias=bias), nn.ReLU()), TOLD


def three() -> tuple:
    return plain(), TOLD, ["a"]


def klass() -> tuple:
    return nn.ReLU, TOLD


class Extra(nn.Module):
    """Keeps something that is no tensor in its state."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.epochs = nn.Conv2d(3, 4, 3), {"done": 3, "names": ["a", None], "rates": torch.ones(2)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)

    def get_extra_state(self) -> dict:
        return self.epochs

    def set_extra_state(self, state: dict) -> None:
        self.epochs = state


def extra() -> tuple[nn.Module, dict]:
    return Extra(), TOLD


class Breaking(nn.Module):
    """Fails on bright images, as code of one's own may."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.mean() > 1.5:
            raise KeyError("bright")
        return self.conv(x)


def breaking() -> tuple[nn.Module, dict]:
    return nn.Sequential(Breaking(), nn.ReLU()), TOLD


class Fixed(nn.Module):
    """Takes one image at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).mean((2, 3)).view(1, 8))


def fixed() -> tuple[nn.Module, dict]:
    return Fixed(), TOLD


class Wrapped(nn.Module):
    """Has a part that is really called module."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Conv2d(3, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x)


def wrapped() -> tuple[nn.Module, dict]:
    return Wrapped(), TOLD
