"""``make art``: paint one image in the style of another."""

import argparse

from indexer.commands.making.writing import add_out_option, check_png, write
from indexer.commands.options.explaining import pixels_named
from indexer.commands.options.shared import add_images_option, add_index, add_network_options


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("content", metavar="CONTENT", help="an image's id, its path in the index, or a file")
    command.add_argument("style", metavar="STYLE", help="the same of the image whose style it gets")
    command.add_argument("--layer", required=True, help="the layer whose maps hold the content")
    command.add_argument("--style-layers", required=True, metavar="LAYER,…", help="layers that hold the style")
    command.add_argument("--weight", type=float, default=10.0, help="how much style counts (%(default)s)")
    command.add_argument("--steps", type=int, default=200, help="so many (%(default)s)")
    command.add_argument("--rate", type=float, default=0.03, help="how far each step goes (%(default)s)")
    add_out_option(command)
    add_images_option(command)
    add_network_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.query.index import open
    from indexer.synthesis.art import art

    check_png(options.out)
    with Bar("painting", "step") as bar, open(options.index, options.images) as index:
        network = index.network(options.weights, options.device, options.model)
        content, style = (pixels_named(index, name) for name in (options.content, options.style))
        made = art(
            index, network, content, style, content_layer=options.layer, style_layers=options.style_layers.split(","),
            weight=options.weight, steps=options.steps, rate=options.rate, progress=bar.step,
        )  # fmt: skip
    write(options.out, made.png())
    print(
        f"distance from the style {made.style_before:.4g} -> {made.style:.4g}; from the content {made.content:.4g}, "
        f"where the style image's own is {made.content_of_style:.4g}"
    )
    return 0
