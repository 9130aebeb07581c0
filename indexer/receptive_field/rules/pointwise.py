"""Operations that look at one place at a time."""

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn import functional as F

from indexer.receptive_field.flow.flow import Flow, joined
from indexer.receptive_field.flow.masks import HIDES
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules, for_names
from indexer.system.torchvision import torchvision


def flows_in(value: Any) -> Iterator[Flow]:
    """The flows among arguments, in order."""
    if isinstance(value, Flow):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from flows_in(item)
    elif isinstance(value, dict):
        yield from flows_in(list(value.values()))


@for_functions(torchvision.ops.stochastic_depth)
@for_names(
    "abs", "add", "add_", "alpha_dropout", "bfloat16", "ceil", "celu", "clamp", "clamp_", "clamp_max", "clamp_min",
    "clip", "clone", "contiguous", "cos", "detach", "div", "div_", "double", "dropout", "dropout1d", "dropout2d",
    "dropout3d", "elu", "elu_", "erf", "exp", "feature_alpha_dropout", "float", "floor", "gelu", "half", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "iadd", "imul", "isub", "itruediv", "leaky_relu",
    "leaky_relu_", "lerp", "log", "log1p", "logsigmoid", "maximum", "minimum", "mish", "mul", "mul_",
    "multiply", "neg", "positive", "pow", "reciprocal", "relu", "relu6", "relu_", "round", "rrelu", "rsqrt",
    "rsub", "selu", "sigmoid", "sigmoid_", "sign", "silu", "sin", "softplus", "softshrink", "softsign", "sqrt",
    "square", "sub", "sub_", "subtract", "tanh", "tanh_", "tanhshrink", "threshold", "to", "truediv",
    "true_divide", "type_as", "addcdiv", "addcmul", "addcmul_", "atan2", "fmod", "hypot", "log2", "logaddexp",
    "nan_to_num", "remainder",
)  # fmt: skip
def elementwise(site: Site, *args: Any, **kwargs: Any) -> Flow:
    """Each element of the result sees what the elements it is made of see."""
    return joined(list(flows_in([args, kwargs])), site.shape)


@for_names("masked_fill", "masked_fill_")
def masked_fill(site: Site, x: Any, mask: Any, value: Any) -> Flow:
    result = elementwise(site, x, mask, value)
    return _unless_hidden(site, value, result)


@for_names("where")
def where(site: Site, condition: Any, x: Any, y: Any) -> Flow:
    result = elementwise(site, condition, x, y)
    return _unless_hidden(site, y, _unless_hidden(site, x, result))


def _unless_hidden(site: Site, value: Any, result: Flow) -> Flow:
    """The result, unless the value hides places from a softmax to come."""
    if isinstance(value, (int, float)) and value <= HIDES:
        raise Unsupported(f"{site.name} hides some places from others", result)
    return result


@for_modules(
    nn.AlphaDropout, nn.CELU, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.ELU, nn.FeatureAlphaDropout,
    nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.Identity, nn.LeakyReLU, nn.LogSigmoid,
    nn.Mish, nn.PReLU, nn.RReLU, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink,
    nn.Softsign, nn.Tanh, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
def activation(site: Site, module: nn.Module, x: Flow) -> Flow:
    return x


@for_modules(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
def batch_norm_module(site: Site, module: nn.BatchNorm2d, x: Flow) -> Flow:
    if module.running_mean is None:
        raise Unsupported(f"{site.name} has no running statistics, so every image of a batch changes every other")
    return x


@for_functions(F.batch_norm)
def batch_norm(
    site: Site, x: Flow, running_mean: Any, running_var: Any, *args: Any, training: bool = False, **kwargs: Any
) -> Flow:
    if training or running_mean is None or (len(args) > 2 and args[2]):
        raise Unsupported(f"{site.name} uses the statistics of the batch")
    return x


@for_names(
    "empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "rand_like", "randn_like",
    "zeros_like",
)  # fmt: skip
def constant(site: Site, *args: Any, **kwargs: Any) -> None:
    """Takes the shape of a tensor and none of its values."""
