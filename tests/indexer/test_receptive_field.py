"""Receptive fields: values worked out by others, the value objects, and what the tracer refuses."""

import copy
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.receptive_field import AxisField, ReceptiveField
from indexer.receptive_field.trace import trace_layers
from tests.indexer.test_receptive_field_twin import bounding_box, one_thread

__all__ = ["one_thread"]


def without_weights(name: str) -> nn.Module:
    """Millions of random numbers take seconds, and fields do not depend on them."""
    with torch.device("meta"):
        return models.get_model(name)


def axis_of(layer: str, model: nn.Module, axis: str = "y", size: tuple[int, int] = (224, 160)) -> AxisField:
    found = getattr(trace_layers(model, [layer], size)[layer].field, axis)
    assert found is not None
    return found


@pytest.mark.parametrize("axis", ["y", "x"])
def test_known_arithmetic(axis: str) -> None:
    # google-research/receptive_field states these for the input of VGG16's third pool and of AlexNet's fourth
    # convolution, which is the output of the layers before.
    vgg = axis_of("features.15", without_weights("vgg16"), axis)
    assert (vgg.size, vgg.stride, vgg.start) == (40, 4, -18)
    alexnet = axis_of("features.7", without_weights("alexnet"), axis)
    assert (alexnet.size, alexnet.stride, alexnet.start) == (99, 16, -34)


@pytest.mark.parametrize(("name", "layer", "size"), [("resnet18", "layer4", 435), ("resnet50", "layer4", 427)])
def test_known_sizes_of_branched_nets(name: str, layer: str, size: int) -> None:
    # As Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, count them, apart
    # from the place of ResNet-50's strides: 483 with the stride in the first convolution of a block, 427 in the second.
    assert axis_of(layer, without_weights(name), "y", (96, 128)).size == size


def test_progression_and_intervals_agree_away_from_the_borders() -> None:
    axis = axis_of("features.7", without_weights("alexnet"), "y", (384, 160))
    assert axis.size is not None
    assert axis.stride is not None
    assert axis.start is not None
    inner = 0
    for cell, interval in enumerate(axis.intervals):
        first = axis.start + cell * axis.stride
        assert interval == (max(first, 0), min(first + axis.size, 384))
        inner += interval == (first, first + axis.size)
    assert inner > 10


def test_height_and_width_are_not_exchanged() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, (1, 3), stride=(2, 1)))
    field = trace_layers(model, ["0"], (8, 5))["0"].field
    assert field.y == AxisField(((0, 1), (2, 3), (4, 5), (6, 7)), 1, 2, 0)
    assert field.x == AxisField(((0, 3), (1, 4), (2, 5)), 3, 1, 0)
    assert field.box(3, 1) == Box(left=1, top=6, right=4, bottom=7)


@pytest.mark.parametrize("cell", [(4, 0), (0, 3), (-1, 0)])
def test_box_of_a_cell_that_is_not_there(cell: tuple[int, int]) -> None:
    field = trace_layers(nn.Sequential(nn.Conv2d(3, 2, (1, 3), stride=(2, 1))), ["0"], (8, 5))["0"].field
    with pytest.raises(InvalidRequest, match="4 rows and 3 columns"):
        field.box(*cell)


def test_json_round_trip() -> None:
    model = models.VisionTransformer(64, 16, num_layers=1, num_heads=2, hidden_dim=24, mlp_dim=48)
    traces = trace_layers(model, ["conv_proj", "encoder.ln", "heads.head", "encoder.dropout"], (64, 64))
    gated = models.mobilenet_v3_small()
    traces |= trace_layers(gated, ["features.1"], (96, 128))
    assert {trace.field.kind for trace in traces.values()} == {"exact", "whole input", "unsupported"}
    for trace in traces.values():
        data = trace.field.to_json()
        assert ReceptiveField.from_json(json.loads(json.dumps(data))) == trace.field


def test_meaning_of_the_dimensions() -> None:
    swin = trace_layers(models.swin_t(), ["features.0.0", "features.1", "norm", "permute", "head"], (72, 104))
    assert [trace.dims for trace in swin.values()] == [
        ("N", "C", "y", "x"),
        ("N", "y", "x", "C"),
        ("N", "y", "x", "C"),
        ("N", "C", "y", "x"),
        ("N", "C"),
    ]
    vit = trace_layers(without_weights("vit_b_32"), ["conv_proj", "encoder", "heads"], (224, 224))
    assert [trace.dims for trace in vit.values()] == [("N", "C", "y", "x"), ("N", "token", "C"), ("N", "C")]


def test_order_is_that_of_the_request() -> None:
    model = models.alexnet()
    layers = ["features.7", "classifier.6", "features.0", "features.7"]
    assert list(trace_layers(model, layers, (96, 128))) == [
        "features.7",
        "classifier.6",
        "features.0",
    ]
    assert trace_layers(model, [], (96, 128)) == {}


def test_vectors_see_the_whole_input_exactly() -> None:
    field = trace_layers(without_weights("efficientnet_b0"), ["classifier.1"], (64, 96))["classifier.1"].field
    assert (field.kind, field.box(0, 0)) == ("exact", Box(0, 0, 96, 64))


def test_attention_over_all_tokens() -> None:
    layers = ["conv_proj", "encoder.layers.encoder_layer_0", "heads"]
    traces = trace_layers(without_weights("vit_b_32"), layers, (224, 224))
    assert traces["conv_proj"].field.box(1, 2) == Box(64, 32, 96, 64)
    encoded = traces["encoder.layers.encoder_layer_0"].field
    assert encoded.kind == "whole input"
    assert encoded.reason is not None
    assert "encoder_layer_0.self_attention" in encoded.reason
    assert encoded.box(0, 0) is None
    assert traces["heads"].field.box(0, 0) == Box(0, 0, 224, 224)


def test_attention_weights_behind_the_mask_of_swin_are_nothing() -> None:
    # The mask is -100 before the softmax, not minus infinity: what it lets through is beyond single precision.
    torch.manual_seed(0)
    model = models.swin_t().double().eval()
    trace = trace_layers(model, ["features.1"], (72, 132))["features.1"]
    kept: list[torch.Tensor] = []
    model.get_submodule("features.1").register_forward_hook(lambda module, args, out: kept.append(out))
    image = torch.rand(1, 3, 72, 132, dtype=torch.float64, requires_grad=True)
    model(image)
    for y, x in [(0, 0), (17, 32), (17, 3), (14, 28), (8, 16)]:
        (gradient,) = torch.autograd.grad(kept[0][0, y, x, 0], image, retain_graph=True)
        assert bounding_box(gradient[0], 1e-38 * gradient.abs().max().item()) == trace.field.box(y, x)


def test_the_model_is_left_as_it_is() -> None:
    torch.manual_seed(0)
    model = models.resnet18().train()
    model.layer1.eval()
    seen: list[Any] = []
    model.conv1.register_forward_hook(lambda *args: seen.append(args))
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    trace_layers(model, ["layer3"], (96, 128))
    assert not seen
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.device.type == "cpu" for value in model.state_dict().values())


def test_unknown_layers_are_named_with_those_alike() -> None:
    with pytest.raises(InvalidRequest, match=r"no layer 'feature.12'; it has features.1"):
        trace_layers(models.squeezenet1_1(), ["features.3", "feature.12"], (96, 128))


@pytest.mark.parametrize("size", [(96,), (96, 0), (96.0, 128), (3, 96, 128)])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(InvalidRequest, match="height and width"):
        trace_layers(without_weights("alexnet"), ["features.0"], size)


def test_layer_that_runs_twice() -> None:
    with pytest.raises(
        InvalidRequest,
        match=r"runs 2 times .* 'layer1.0.relu:call0' to 'layer1.0.relu:call1', or choose its parent 'layer1.0'",
    ):
        trace_layers(models.resnet18(), ["layer1.0.relu"], (96, 128))


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("googlenet", "aux1.conv", (64, 96)),
        ("vit_b_32", "encoder.layers.encoder_layer_0.self_attention.out_proj", (224, 224)),
    ],
)
def test_layer_that_does_not_run(name: str, layer: str, size: tuple[int, int]) -> None:
    options = {"init_weights": False} if name == "googlenet" else {}
    with pytest.raises(InvalidRequest, match=f"{layer}.*is not run"):
        trace_layers(models.get_model(name, **options), [layer], size)


def test_size_that_the_model_does_not_take() -> None:
    with pytest.raises(InvalidRequest, match=r"height 64 and width 96: AssertionError: Wrong image height"):
        trace_layers(without_weights("vit_b_32"), ["conv_proj"], (64, 96))


class Dynamic(nn.Module):
    """Branches on values, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3), nn.Linear(2, 5)
        self.unused = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        if x.mean() > 1e6:
            x = x * 2
        return self.head(self.last(x).mean((2, 3)))


def test_model_that_cannot_be_traced() -> None:
    traces = trace_layers(Dynamic(), ["first", "last", "head"], (19, 26))
    assert [traces[layer].field.kind for layer in traces] == ["exact", "measured", "measured"]
    assert [traces[layer].dims for layer in traces] == [("N", "C", "y", "x"), ("N", "C", "y", "x"), ("N", "C")]
    assert traces["first"].field.box(1, 2) == Box(2, 1, 5, 4)
    reason = traces["last"].field.reason
    assert reason is not None
    assert reason.startswith("measured by gradients on 2 random images, as torch.fx cannot trace the model")
    assert traces["last"].field.box(1, 2) == Box(2, 1, 7, 6)
    with pytest.raises(InvalidRequest, match="'unused' is not run"):
        trace_layers(Dynamic(), ["unused"], (9, 12))


class Odd(nn.Module):
    """Operations without rules, beside those with."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.sort, self.after = nn.Conv2d(3, 2, 3), nn.Identity(), nn.Conv2d(2, 2, 3)
        self.pair, self.free = nn.MaxPool2d(2, return_indices=True), nn.Linear(4, 3)
        self.encoder = nn.TransformerEncoderLayer(2, 1, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.conv(x)
        y = self.after(self.sort(x.sort(dim=3).values))
        return y, self.pair(x), self.free(torch.ones(2, 4)), self.encoder(x.flatten(2).transpose(1, 2))


def test_operations_without_rules() -> None:
    layers = ["conv", "sort", "after", "pair", "encoder", "encoder.linear1"]
    traces = trace_layers(Odd(), layers, (9, 12))
    assert [traces[layer].field.kind for layer in layers] == ["exact"] + ["unsupported"] * 5
    reasons = {layer: traces[layer].field.reason or "" for layer in layers}
    assert reasons["after"] == "sort is an operation whose receptive field is not known"
    assert reasons["pair"] == "its output is not a single tensor"
    assert "TransformerEncoderLayer encoder" in reasons["encoder"]
    assert "torch's modules" in reasons["encoder.linear1"]
    assert traces["encoder"].dims == ("N", "token", "C")


class InPlace(nn.Module):
    """Changes a tensor under other names."""

    def __init__(self, view: Any) -> None:
        super().__init__()
        self.small, self.large, self.out = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 5, padding=2), nn.Identity()
        self.view = view

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.small(x)
        self.view(y).add_(self.view(self.large(x)))
        return self.out(y)


@pytest.mark.parametrize("view", [lambda y: y, nn.Identity()])
def test_tensor_changed_in_place(view: Any) -> None:
    traces = trace_layers(InPlace(view), ["small", "out"], (11, 14))
    assert traces["small"].field.box(5, 6) == Box(6, 5, 7, 6)
    assert traces["out"].field.box(5, 6) == Box(4, 3, 9, 8)


def test_part_of_a_tensor_changed_in_place() -> None:
    traces = trace_layers(InPlace(lambda y: y[:, :1]), ["small", "out"], (11, 14))
    assert traces["small"].field.kind == "exact"
    assert traces["out"].field.reason == (
        "measured by gradients on 2 random images, as add_ changes a part of it in place"
    )
    assert traces["out"].field.box(5, 6) == Box(4, 3, 9, 8)


class Uncopyable(nn.Conv2d):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("only one of me")


def test_model_that_refuses_to_be_copied() -> None:
    trace = trace_layers(nn.Sequential(Uncopyable(3, 2, 3)), ["0"], (11, 14))["0"]
    assert trace.field.box(1, 2) == Box(2, 1, 5, 4)


def test_padding_alone_is_an_empty_box() -> None:
    field = trace_layers(nn.Sequential(nn.Conv2d(3, 2, 1, padding=2)), ["0"], (4, 5))["0"].field
    box = field.box(0, 3)
    assert box is not None
    assert box.area == 0
    assert field.box(2, 3) == Box(1, 0, 2, 1)


def test_weights_of_another_type() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3)).to(torch.bfloat16)
    assert trace_layers(model, ["0"], (5, 7))["0"].field.box(0, 0) == Box(0, 0, 3, 3)


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads take turns a thousand times as often as they would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_threads")
def test_threads_trace_and_run_models_at_once() -> None:
    """torch.fx replaces methods of nn.Module for all threads, and puts back what it found."""
    call, getter = nn.Module.__call__, nn.Module.__getattr__
    layers, size = ["features.3", "features.6", "classifier"], (64, 96)
    alone = trace_layers(without_weights("squeezenet1_1"), layers, size)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    pixels = torch.rand(1, 3, 9, 11)
    with torch.no_grad(), ThreadPoolExecutor(4) as threads:
        expected = model(pixels)
        traced = [threads.submit(trace_layers, without_weights("squeezenet1_1"), layers, size) for _ in range(4)]
        while not all(each.done() for each in traced):
            assert torch.equal(model(pixels), expected)
    assert [each.result() for each in traced] == [alone] * 4
    assert (nn.Module.__call__, nn.Module.__getattr__) == (call, getter)
