"""Networks whose forward keeps state, draws numbers, mixes a batch or catches exceptions, as people write them."""

import contextlib
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

PREPROCESSING = {"resize": [48, 64], "crop": None, "mean": [0.5] * 3, "std": [0.25] * 3}
FEATURES: dict[str, torch.Tensor] = {}
LAST = SimpleNamespace(maps=None)


class Skips(nn.Module):
    """A skip connection whose maps are kept somewhere between two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.enc, self.mid = nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 8, 5, padding=2)
        self.dec = nn.Conv2d(16, 6, 3, padding=1)

    def keep(self, maps: torch.Tensor) -> None:
        self.skip = maps

    def kept(self) -> torch.Tensor:
        return self.skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.enc(x)
        self.keep(maps)
        return self.dec(torch.cat([self.mid(maps.relu()), self.kept()], 1))


class InDict(Skips):
    def __init__(self) -> None:
        super().__init__()
        self.features: dict[str, torch.Tensor] = {}

    def keep(self, maps: torch.Tensor) -> None:
        self.features["enc"] = maps

    def kept(self) -> torch.Tensor:
        return self.features.pop("enc")


class InList(InDict):
    def __init__(self) -> None:
        super().__init__()
        self.maps: list[torch.Tensor] = []

    def keep(self, maps: torch.Tensor) -> None:
        self.maps.append(maps)

    def kept(self) -> torch.Tensor:
        return self.maps.pop()


class InHook(Skips):
    """What the network's own hook keeps, a method."""

    def __init__(self) -> None:
        super().__init__()
        self.enc.register_forward_hook(self.hooked)

    def hooked(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self.skip = output

    def keep(self, maps: torch.Tensor) -> None:
        pass


class _Recorder:
    def __init__(self, module: nn.Module) -> None:
        module.register_forward_hook(self)

    def __call__(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        self.stored = output


class InObject(Skips):
    """What an object that is a hook keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.recorder = _Recorder(self.enc)

    def kept(self) -> torch.Tensor:
        return self.recorder.stored

    def keep(self, maps: torch.Tensor) -> None:
        pass


class InGlobal(Skips):
    def keep(self, maps: torch.Tensor) -> None:
        FEATURES["enc"] = maps

    def kept(self) -> torch.Tensor:
        return FEATURES["enc"]


class InNamespace(Skips):
    def keep(self, maps: torch.Tensor) -> None:
        LAST.maps = maps

    def kept(self) -> torch.Tensor:
        return LAST.maps


class InClass(Skips):
    features: dict[str, torch.Tensor] = {}  # noqa: RUF012, the fault that is tried

    def keep(self, maps: torch.Tensor) -> None:
        self.features["enc"] = maps

    def kept(self) -> torch.Tensor:
        return self.features["enc"]


def in_closure() -> nn.Module:
    """What a hook keeps in a dict around it."""
    store: dict[str, torch.Tensor] = {}
    model = Skips()
    model.enc.register_forward_hook(lambda module, inputs, output: store.__setitem__("enc", output))
    model.kept = lambda: store["enc"]
    return model


class Once(Skips):
    """The first pass after loading is another one: a cache that is made too early."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "scale"):
            self.scale = x.abs().amax()
        return self.dec(torch.cat([self.mid(self.enc(x / self.scale)), self.enc(x)], 1))


class Counting(Skips):
    """Each pass is a little stronger than the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return super().forward(x * (1 + self.passes / 100))


class Dazzled(Skips):
    """A bright image changes what all later ones give."""

    def __init__(self) -> None:
        super().__init__()
        self.dazzled = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 0.5 if self.dazzled else 1.0
        self.dazzled = self.dazzled or bool(x.mean() > 1.9)
        return super().forward(x * scale)


class DazzledLate(Dazzled):
    """The same, in the last layer alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 0.5 if self.dazzled else 1.0
        self.dazzled = self.dazzled or bool(x.mean() > 1.9)
        maps = self.enc(x)
        return self.dec(torch.cat([self.mid(maps.relu()), maps], 1) * scale)


class Dropping(Skips):
    """Dropout that evaluation mode leaves on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dec(nn.functional.dropout(torch.cat([self.mid(self.enc(x)), self.enc(x)], 1), 0.2))


class Noisy(Skips):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x + 0.01 * torch.randn_like(x))


class BatchNormed(Skips):
    """A batch norm that has no running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(x))


class Complex(Skips):
    """Its layer gives complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.dec = nn.Sequential(self.dec, Fourier())


class Fourier(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(x)


class Centred(Skips):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x - x.mean(0, keepdim=True))


class Rolled(Skips):
    """Maps of the image beside it, moved: highest, lowest and mean stay."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.roll(x, len(x) - 1, dims=3))


class Retrying(nn.Module):
    """Tries without normalising first, and with it if that fails."""

    def __init__(self, caught: type[BaseException] = Exception) -> None:
        super().__init__()
        self.conv, self.last, self.caught = nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 1), caught

    def step(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv(x).relu())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        try:
            return self.step(x)
        except self.caught:
            return self.step(x * 100)


def retrying_everything() -> nn.Module:
    return Retrying(BaseException)


class Suppressing(Retrying):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for scale in (1, 10, 100):
            with contextlib.suppress(BaseException):
                maps = self.step(x * scale)
        return maps


class Fixed(nn.Module):
    """Takes one image at a time, and says so by an error."""

    rows: tuple[int, ...] = (1, 8)

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).mean((2, 3)).view(self.rows))


class Cropped(Fixed):
    """Takes one image at a time, and leaves the others out without a word."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv(x).mean((2, 3))[:1])


class Uneven(Skips):
    """Maps of another shape for bright images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = super().forward(x)
        return maps[..., :-1] if float(x.mean()) > 1 else maps


class BlankIsNan(nn.Module):
    """NaN on images of one colour, in its second layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.next = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.next(self.conv((x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)))


def with_preprocessing(make: Any, seed: int = 0) -> tuple[nn.Module, dict[str, Any]]:
    torch.manual_seed(seed)
    return make(), PREPROCESSING


def __getattr__(name: str) -> Any:
    """``tests.stateful_models:make_Skips`` and the like are factories."""
    if name.startswith("make_"):
        return lambda: with_preprocessing(globals()[name.removeprefix("make_")])
    raise AttributeError(name)
