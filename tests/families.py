"""Families of networks: is every layer that is accepted read in the layout that it really has?

``python -m tests.families [NAME ...]`` prints a line for each family: layers right, refused, unchecked, WRONG. What is
right is found without unitscope: an output's axis that grows with the batch is N, one that grows when the image is made
higher is y, one that grows when it is made wider is x, and the one that never changes is C.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

from indexer.errors import UnitscopeError
from indexer.images.preprocessing import Preprocessing
from indexer.network.forward import Network
from indexer.network.models import LoadedModel
from indexer.receptive_field.maps import maps_of
from indexer.receptive_field.trace import trace_layers

SIZE = (96, 128)
TIMM: dict[str, tuple[str, tuple[int, int]]] = {
    "resnet": ("resnet18", SIZE), "convnext": ("convnext_atto", SIZE), "convnextv2": ("convnextv2_atto", SIZE),
    "vit": ("vit_tiny_patch16_224", SIZE), "swin": ("swin_tiny_patch4_window7_224", (112, 224)),
    "swinv2": ("swinv2_cr_tiny_ns_224", (224, 224)), "efficientnet": ("efficientnet_b0", SIZE),
    "volo": ("volo_d1_224", (224, 224)), "sequencer": ("sequencer2d_s", SIZE), "hiera": ("hiera_tiny_224", (224, 224)),
    "mlp-mixer": ("mixer_s32_224", (224, 224)), "poolformer": ("poolformer_s12", SIZE),
    "caformer": ("caformer_s18", SIZE), "coatnet": ("coatnet_pico_rw_224", (224, 224)),
    "maxvit": ("maxvit_pico_rw_256", (256, 256)), "edgenext": ("edgenext_xx_small", SIZE),
    "mobilevit": ("mobilevit_xxs", SIZE), "mobilenetv3": ("mobilenetv3_small_050", SIZE),
    "regnet": ("regnetx_002", SIZE), "densenet": ("densenet121", SIZE), "repvgg": ("repvgg_a0", SIZE),
    "davit": ("davit_tiny", (224, 224)), "focalnet": ("focalnet_tiny_srf", SIZE),
    "gmixer": ("gmixer_12_224", (224, 224)), "xcit": ("xcit_nano_12_p16_224", SIZE), "pvt": ("pvt_v2_b0", SIZE),
    "ghostnet": ("ghostnet_050", SIZE),
}  # fmt: skip
TORCHVISION = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "resnext50_32x4d",
    "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11", "vit_b_32",
)  # fmt: skip
_FIXED = {"maxvit_t": (224, 224), "vit_b_32": (224, 224), "inception_v3": (107, 139)}
LAYERS = 20
"""At most so many layers of each network, spread over all."""

Maker = Callable[[tuple[int, int]], nn.Module]


def timm_maker(name: str) -> Maker:
    import timm

    def make(size: tuple[int, int]) -> nn.Module:
        torch.manual_seed(0)
        try:
            return timm.create_model(name, pretrained=False, img_size=size).eval()
        except TypeError:  # takes any size
            return timm.create_model(name, pretrained=False).eval()

    return make


def torchvision_maker(name: str) -> Maker:
    options: dict[str, Any] = {"aux_logits": False, "init_weights": False}

    def make(size: tuple[int, int]) -> nn.Module:
        torch.manual_seed(0)
        return torchvision.models.get_model(name, **(options if name in ("googlenet", "inception_v3") else {})).eval()

    return make


def network_of(family: str) -> tuple[Maker, tuple[int, int]]:
    """How the network of a family is made, and the size of its images."""
    if family.startswith("torchvision "):
        name = family.partition(" ")[2]
        return torchvision_maker(name), _FIXED.get(name, SIZE)
    name, size = TIMM[family]
    return timm_maker(name), size


FAMILIES = (*TIMM, *(f"torchvision {name}" for name in TORCHVISION))


def outputs_of(model: nn.Module, images: torch.Tensor, layers: Sequence[str]) -> dict[str, list[Any]]:
    """What each layer gives, by plain hooks."""
    found: dict[str, list[Any]] = {layer: [] for layer in layers}

    def keep(layer: str) -> Any:
        return lambda module, args, out: found[layer].append(out.clone() if isinstance(out, torch.Tensor) else out)

    handles = [model.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    return found


def true_order(make: Maker, size: tuple[int, int], layers: Sequence[str]) -> dict[str, list[int] | None]:
    """For each layer the axes N, C, y, x of its output; None where the sizes do not tell."""
    height, width = size
    grown = {"N": (2, height, width), "y": (1, 2 * height, width), "x": (1, height, 2 * width)}
    plain = _shapes(make, (1, height, width), layers)
    others = {role: _shapes(make, shape, layers) for role, shape in grown.items()}
    orders: dict[str, list[int] | None] = {}
    for layer in layers:
        roles: dict[int, str] = {}
        for role, shapes in others.items():
            pairs = zip(plain.get(layer, ()), shapes.get(layer, ()), strict=False)
            differ = [axis for axis, (a, b) in enumerate(pairs) if a != b]
            if len(differ) == 1:
                roles[differ[0]] = role
        rank = len(plain.get(layer, ()))
        left = [axis for axis in range(rank) if axis not in roles]
        if sorted(roles.values()) == ["N", "x", "y"] and len(left) == 1 and rank == 4:
            named = {role: axis for axis, role in roles.items()} | {"C": left[0]}
            orders[layer] = [named[role] for role in "NCyx"]
        elif list(roles.values()) == ["N"] and rank == 2:
            orders[layer] = [*roles, *left]
        elif list(roles.values()) == ["N"] and rank == 4 and sum(plain[layer][axis] > 1 for axis in left) == 1:
            channels = next(axis for axis in left if plain[layer][axis] > 1)
            orders[layer] = [*roles, channels, *(axis for axis in left if axis != channels)]
        else:
            orders[layer] = None
    return orders


def _shapes(make: Maker, shape: tuple[int, int, int], layers: Sequence[str]) -> dict[str, tuple[int, ...]]:
    count, height, width = shape
    try:
        outputs = outputs_of(make((height, width)), torch.zeros(count, 3, height, width), layers)
    except Exception:  # another size than the one it is made for
        return {}
    return {layer: tuple(found[0].shape) for layer, found in outputs.items()}


def check(family: str, most: int = LAYERS) -> dict[str, tuple[str, str]]:
    """For each layer "right", "refused", "unchecked" or "WRONG", and its field."""
    make, size = network_of(family)
    model = make(size)
    images = torch.zeros(1, 3, *size)
    names = [name for name, _ in model.named_modules() if name]
    single = [
        layer
        for layer, found in outputs_of(model, images, names).items()
        if len(found) == 1 and isinstance(found[0], torch.Tensor)
    ]
    layers = [single[i] for i in sorted({round(i) for i in np.linspace(0, len(single) - 1, most)})]
    traces = trace_layers(model, layers, size)
    plain = outputs_of(model, images, layers)
    verdicts = {layer: ("refused", traces[layer].field.words) for layer in layers}
    accepted = [layer for layer in layers if maps_of(plain[layer][0], traces[layer]) is not None]
    if not accepted:
        return verdicts
    preprocessing = Preprocessing(size, None, mean=(0.5,) * 3, std=(0.25,) * 3)
    network = Network(LoadedModel(family, "none", model, preprocessing, "", []), accepted, torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    kept = network.maps([Image.fromarray(pixels)])
    image = (torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.25
    plain, orders = outputs_of(make(size), image, accepted), true_order(make, size, accepted)
    for layer in accepted:
        verdicts[layer] = (_verdict(kept[layer], plain[layer][0], orders[layer]), traces[layer].field.words)
    return verdicts


def _verdict(kept: np.ndarray, output: torch.Tensor, order: list[int] | None) -> str:
    if order is None:
        return "unchecked"
    expected = output.permute(order).numpy()
    expected = expected[:, :, None, None] if expected.ndim == 2 else expected
    same = kept.shape == expected.shape and np.allclose(kept, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    return "right" if same else "WRONG"


def main(families: Sequence[str]) -> int:
    wrong = 0
    for family in families or FAMILIES:
        try:
            found = check(family)
        except (UnitscopeError, RuntimeError, ValueError) as error:
            print(f"{family}: could not be tried: {str(error).splitlines()[0][:200]}", flush=True)
            continue
        counts = Counter(verdict for verdict, _ in found.values())
        kinds = Counter(words.partition(":")[0] for verdict, words in found.values() if verdict != "refused")
        wrong += counts["WRONG"]
        print(
            f"| {family} | {counts['right']} | {counts['refused']} | {counts['unchecked']} | {counts['WRONG']} | "
            f"{', '.join(f'{count} {kind}' for kind, count in kinds.items())} |",
            flush=True,
        )
        for layer, (verdict, words) in found.items():
            if verdict == "WRONG":
                print(f"  WRONG {layer}: {words}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
