"""Attention: over all places, and over Swin's shifted windows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import taps
from indexer.receptive_field.flow.flow import Flow, joined
from indexer.receptive_field.flow.masks import hides
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules
from indexer.receptive_field.rules.resizing import pad
from indexer.receptive_field.rules.shapes import cat, section
from indexer.system.torchvision import torchvision

_swin = torchvision.models.swin_transformer


@for_modules(nn.MultiheadAttention)
def multihead_attention(
    site: Site,
    module: nn.MultiheadAttention,
    query: Flow,
    key: Flow,
    value: Flow,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Flow, None]:
    length = 1 if module.batch_first and query.rank == 3 else 0
    seen = _attend(site, query, [key, value], length, site.shape[0])
    if key_padding_mask is not None or attn_mask is not None or is_causal or need_weights:
        raise Unsupported(
            f"{site.name} is masked or also returns its weights", (seen, f"{site.name} also gives its weights")
        )
    return seen, None


@for_functions(F.scaled_dot_product_attention)
def dot_product_attention(
    site: Site,
    query: Flow,
    key: Flow,
    value: Flow,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **kwargs: Any,
) -> Flow:
    own, keys, values = query.over([-1], site.name), key, value
    if isinstance(key, Flow):
        keys = key.over([-1, -2], site.name)
    if isinstance(value, Flow):
        values = value.over([-2], site.name)
    seen = joined([each for each in (own, keys, values) if isinstance(each, Flow)], site.shape)
    if is_causal or isinstance(attn_mask, Flow) or hides(attn_mask) or _is_boolean(attn_mask):
        raise Unsupported(f"{site.name} is masked", seen)
    return seen


def _is_boolean(mask: Any) -> bool:
    return isinstance(mask, torch.Tensor) and mask.dtype == torch.bool


def _attend(site: Site, query: Flow, attended: Sequence[Flow], length: int, shape: Sequence[int]) -> Flow:
    """Every place of the query sees all places attended to."""
    own = query.over([-1], site.name)
    seen = [each.over([-1, length], site.name) for each in attended if isinstance(each, Flow)]
    wide = joined([own, *seen], (*shape[:-1], 1))
    return replace(wide, dims=wide.with_dim(-1, roles.whole("C", shape[-1])))


def _window_groups(size: int, window: int, shift: int) -> np.ndarray:
    """Which places of one axis attend to one another: same group, same window, same side of the mask.

    Follows Liu et al., "Swin Transformer", 2021, section 3.2: the map is padded at its end to whole windows and rolled
    by the shift, and what the roll brings together from both ends is masked. The mask adds -100 before the softmax,
    a factor under 1e-43: it counts as no influence.
    """
    padded = -(-size // window) * window
    shift = 0 if window >= padded else shift
    places = (np.arange(size) - shift) % padded
    return places // window + padded * (places >= padded - shift)


@for_functions(_swin.shifted_window_attention)
def shifted_window_attention(
    site: Site,
    input: Flow,
    qkv_weight: Any,
    proj_weight: Any,
    relative_position_bias: Any,
    window_size: Sequence[int],
    num_heads: int,
    shift_size: Sequence[int],
    *args: Any,
    **kwargs: Any,
) -> Flow:
    """Swin's attention on (N, y, x, C)."""
    result = before = input.over([-1], site.name)
    for axis, window, shift in zip((1, 2), window_size, shift_size, strict=True):
        groups = _window_groups(input.shape[axis], window, shift)
        result = result.gathered(axis, taps.grouped(groups), lambda progression: None)
    if all(size <= window for size, window in zip(input.shape[1:3], window_size, strict=True)):
        result = result.cut_if_wider(before, site.name)
    return replace(result, dims=input.dims)


@for_functions(_swin._patch_merging_pad)
def patch_merging(site: Site, x: Flow) -> Flow:
    """Swin's down-sampling: the four places of a 2 by 2 block side by side as channels."""
    *_, height, width, channels = x.shape
    lead = x.shape[:-3]
    even = (*lead, height + height % 2, width + width % 2, channels)
    padded = pad(Site(site.name, even), x, (0, 0, 0, width % 2, 0, height % 2))
    parts = [
        section(section(padded, -3, row, even[-3], 2), -2, column, even[-2], 2) for column in (0, 1) for row in (0, 1)
    ]
    return cat(site, parts, -1)
