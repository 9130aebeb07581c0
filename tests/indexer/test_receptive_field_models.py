"""Receptive fields of torchvision's families against gradients."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import swin_transformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig
from torchvision.models.resnet import Bottleneck
from torchvision.models.vgg import make_layers

from indexer.images.geometry import Box
from indexer.receptive_field import LayerTrace
from indexer.receptive_field.trace import trace_layers
from tests.indexer.test_receptive_field_twin import (
    corners_and_middles,
    gradient_boxes,
    one_thread,
    smooth_copy,
)

Size = tuple[int, int]
__all__ = ["one_thread"]


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "maxvit (small)":  # MaxViT takes square images of one size only
        return models.MaxVit(
            input_size=(64, 64), stem_channels=8, partition_size=4, block_channels=[8, 16, 16],
            block_layers=[1, 1, 1], head_dim=4, stochastic_depth_prob=0.0, num_classes=5,
        ).eval()  # fmt: skip
    if name == "vit (small)":  # and so does the vision transformer
        return models.VisionTransformer(64, 16, num_layers=2, num_heads=2, hidden_dim=24, mlp_dim=48).eval()
    if name in NARROW:
        return NARROW[name]().eval()
    options = {"init_weights": False} if name in ("googlenet", "inception_v3", "vgg11_bn") else {}
    model = models.get_model(name, **options).eval()
    if name in ("alexnet", "vgg11_bn"):  # nine tenths of their weights see the whole input
        model.classifier = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 5)).eval()
        model(torch.zeros(1, 3, *FAMILIES[name]))
    return model


def run_once(model: nn.Module, size: Size) -> list[str]:
    """The names of the modules that a forward pass runs exactly once, in order of their first end."""
    calls: dict[str, int] = {}

    def count(name: str) -> Any:
        return lambda *_: calls.update({name: calls.get(name, 0) + 1})

    handles = [module.register_forward_hook(count(name)) for name, module in model.named_modules() if name]
    with torch.no_grad():
        model(torch.zeros(1, 3, *size))
    for handle in handles:
        handle.remove()
    return [name for name, number in calls.items() if number == 1]


def spread(names: Sequence[str], count: int) -> list[str]:
    """At most `count` names, evenly spread, the last among them."""
    step = max(math.ceil(len(names) / count), 1)
    return list(names[::-1][::step][::-1])


def is_mapped(trace: LayerTrace) -> bool:
    return trace.field.y is not None


def assert_boxes(traces: dict[str, LayerTrace], found: dict[str, list[Box]]) -> None:
    for layer, boxes in found.items():
        for cell, box in zip(corners_and_middles(traces[layer]), boxes, strict=True):
            claimed = traces[layer].field.box(*(cell or (0, 0)))
            assert claimed == box, (layer, cell, traces[layer].field.kind)


def check_model(model: nn.Module, size: Size, exact: int, whole: int) -> None:
    """Compare `exact` exact layers and `whole` others, spread over the model, with gradients."""
    traces = trace_layers(model, run_once(model, size), size)
    chosen = spread([name for name, trace in traces.items() if trace.field.kind == "exact"], exact)
    twin = smooth_copy(model)
    dims = {name: trace.dims for name, trace in traces.items()}
    cells = {name: corners_and_middles(traces[name]) for name in chosen}
    assert_boxes(traces, gradient_boxes(twin, cells, dims, size))
    mixed = [name for name, trace in traces.items() if trace.field.kind == "whole input" and is_mapped(trace)]
    mapped = spread(mixed, whole)
    if mapped:
        check_whole(twin, {name: traces[name] for name in mapped}, size)


def check_whole(twin: nn.Module, traces: dict[str, LayerTrace], size: Size) -> None:
    """Layers that see the whole input: all of it with the path that mixes the map, their boxes without it."""
    dims = {name: trace.dims for name, trace in traces.items()}
    cells = {name: corners_and_middles(trace) for name, trace in traces.items()}
    for boxes in gradient_boxes(twin, cells, dims, size).values():
        assert set(boxes) == {Box(0, 0, size[1], size[0])}
    detach_global_paths(twin)
    assert_boxes(traces, gradient_boxes(twin, cells, dims, size))


def detach_global_paths(model: nn.Module) -> None:
    """Cut gradients where squeeze-and-excitation pools, and after attention that covers its whole map."""
    for name, module in model.named_modules():
        if name.endswith((".avgpool", ".se.avgpool")) and isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda _, args: (args[0].detach(),))
        if isinstance(module, swin_transformer.ShiftedWindowAttention):
            module.register_forward_hook(_detach_if_whole)
        if type(module).__name__ == "PartitionAttentionLayer":
            module.attn_layer.register_forward_hook(lambda _, args, out: out.detach() if args[0].shape[1] == 1 else out)


def _detach_if_whole(module: Any, args: tuple[torch.Tensor], out: torch.Tensor) -> torch.Tensor:
    covers = all(size <= window for size, window in zip(args[0].shape[1:3], module.window_size, strict=True))
    return out.detach() if covers else out


def narrow_swin(**options: Any) -> nn.Module:
    return models.SwinTransformer([4, 4], 24, [2, 2, 2, 2], [1, 2, 4, 8], [8, 8], num_classes=5, **options)


NARROW: dict[str, Callable[[], nn.Module]] = {
    "vgg (narrow)": lambda: nn.Sequential(
        make_layers([8, "M", 8, 12, "M", 12, 16, "M", 16, "M"], batch_norm=True), nn.AdaptiveAvgPool2d(7), nn.Flatten(),
        nn.Linear(16 * 7 * 7, 5),
    ),
    "resnext (narrow)": lambda: models.ResNet(Bottleneck, [1, 2, 1, 1], num_classes=5, groups=8, width_per_group=4),
    "densenet (narrow)": lambda: models.DenseNet(8, (2, 3, 2, 2), 16, num_classes=5),
    "efficientnet (narrow)": lambda: models.EfficientNet(
        [
            FusedMBConvConfig(1, 3, 1, 8, 8, 1), FusedMBConvConfig(4, 3, 2, 8, 16, 2), MBConvConfig(4, 3, 2, 16, 16, 2),
            MBConvConfig(6, 5, 1, 16, 24, 2), MBConvConfig(6, 5, 2, 24, 32, 2),
        ],
        dropout=0.2, stochastic_depth_prob=0.0, num_classes=5, last_channel=40,
    ),
    "convnext (narrow)": lambda: models.ConvNeXt(
        [CNBlockConfig(12, 24, 1), CNBlockConfig(24, 48, 1), CNBlockConfig(48, 96, 2), CNBlockConfig(96, None, 1)],
        num_classes=5,
    ),
    "swin (narrow)": narrow_swin,
    "swin_v2 (narrow)": lambda: narrow_swin(
        block=swin_transformer.SwinTransformerBlockV2, downsample_layer=swin_transformer.PatchMergingV2
    ),
}  # fmt: skip
"""Families with few channels, which decide nothing here and cost most."""

FAMILIES = {
    "alexnet": (96, 128),
    "vgg11_bn": (64, 96),
    "squeezenet1_1": (96, 128),
    "resnet18": (96, 128),
    "resnext50_32x4d": (64, 96),
    "densenet121": (64, 96),
    "googlenet": (64, 96),
    "inception_v3": (80, 107),
    "mobilenet_v2": (96, 128),
    "mobilenet_v3_small": (96, 128),
    "mnasnet0_5": (96, 128),
    "shufflenet_v2_x0_5": (96, 128),
    "efficientnet_b0": (96, 128),
    "efficientnet_v2_s": (64, 96),
    "regnet_x_400mf": (96, 128),
    "regnet_y_400mf": (96, 128),
    "convnext_tiny": (64, 96),
    "swin_t": (72, 132),
    "vgg (narrow)": (64, 96),
    "resnext (narrow)": (64, 96),
    "densenet (narrow)": (64, 96),
    "efficientnet (narrow)": (64, 96),
    "convnext (narrow)": (64, 96),
    "swin (narrow)": (72, 132),
    "swin_v2 (narrow)": (72, 132),
    "maxvit (small)": (64, 64),
    "vit (small)": (64, 64),
}


QUICK = [name for name in FAMILIES if name not in (
    "vgg11_bn", "resnext50_32x4d", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "convnext_tiny", "swin_t",
    "inception_v3", "mobilenet_v2", "regnet_y_400mf", "alexnet", "resnet18", "mnasnet0_5", "regnet_x_400mf",
)]  # fmt: skip
"""All but those that have the operations of a narrow or a smaller one; a slow test below has them all."""


@pytest.mark.parametrize("name", QUICK)
def test_boxes_equal_gradients(name: str) -> None:
    check_model(build(name), FAMILIES[name], exact=5, whole=2)


def test_tokens_see_the_whole_input() -> None:
    model = build("vit (small)")
    layers = ["encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1.mlp", "encoder.ln"]
    traces = trace_layers(model, layers, (64, 64))
    dims = dict.fromkeys(layers, ("N", "y", "C"))  # a list of tokens is a map of one column here
    found = gradient_boxes(smooth_copy(model), {layer: [(0,), (1,), (16,)] for layer in layers}, dims, (64, 64))
    for layer in layers:
        assert traces[layer].field.kind == "whole input"
        assert traces[layer].dims == ("N", "token", "C")
        assert set(found[layer]) == {Box(0, 0, 64, 64)}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, "wide_resnet50_2", "resnet50", "mobilenet_v3_large", "vgg16", "vit_b_32"])
def test_boxes_of_many_layers_equal_gradients(name: str) -> None:
    size = (224, 224) if name == "vit_b_32" else FAMILIES.get(name, (96, 128))
    check_model(build(name), size, exact=40, whole=15)
