"""``why``: say which neurons made the network answer so."""

import argparse
from typing import TYPE_CHECKING, Any

from indexer.commands.options.explaining import add_explaining_options, picture_named, print_found
from indexer.commands.options.shared import add_index
from indexer.defaults import GROUP_IMAGES, WHY_NEURONS
from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    from PIL.Image import Image

    from indexer.explain.asked import Asked, Said
    from indexer.query.index import Index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument(
        "image", nargs="?", metavar="IMAGE", help="an image's id, its path in the index, or an image file"
    )
    command.add_argument("--layer", required=True, help="the layer whose neurons are asked for")
    command.add_argument(
        "--for",
        dest="for_",
        metavar="OUTPUT",
        help="the output to explain: a number, class or name; default: the highest",
    )
    command.add_argument("--against", metavar="OUTPUT", help="explain by how much it is above this one")
    command.add_argument(
        "--limit", type=int, default=WHY_NEURONS, help="so many neurons for it, and as many against it (%(default)s)"
    )
    command.add_argument("--class", dest="class_", help="in place of IMAGE: the mean over images of this class")
    command.add_argument("--answered", metavar="OUTPUT", help="in place of IMAGE: the mean over images answered so")
    command.add_argument(
        "--sample", type=int, default=GROUP_IMAGES, help="look at so many of these images (%(default)s)"
    )
    add_explaining_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open

    is_group = options.class_ is not None or options.answered is not None
    if is_group == (options.image is not None):
        raise InvalidRequest("name one IMAGE, or a group of images with --class, --answered or both")
    with open(options.index, options.images) as index:
        found = _of_group(index, options) if is_group else _of_image(index, options)
    print_found(found, options, lambda: _print(found))
    return 0


def _of_group(index: "Index", options: argparse.Namespace) -> dict[str, Any]:
    from indexer.commands.console.progress import Bar
    from indexer.explain.group import why_group

    with Bar("explaining") as bar:
        return why_group(
            index, index.network(options.weights, options.device, options.model), options.layer,
            class_=options.class_, answered=options.answered, for_=options.for_, against=options.against,
            limit=options.limit, sample=options.sample, progress=bar.step,
        ).as_dict()  # fmt: skip


def _of_image(index: "Index", options: argparse.Namespace) -> dict[str, Any]:
    from indexer.explain.why import explained, question

    asked = question(index, options.layer, options.for_, options.against, options.limit)
    picture = picture_named(index, options.image)
    said = _said(index, options, asked, picture)
    return explained(index, asked, said, *picture.size).as_dict()


def _said(index: "Index", options: argparse.Namespace, asked: "Asked", picture: "Image") -> "Said":
    from indexer.explain.pushes import explain

    network = index.network(options.weights, options.device, options.model)
    return explain(network, asked, network.model.preprocessing.pixels(picture))


def _print(found: dict[str, Any]) -> None:
    what = "the highest output of each" if found["for"] is None else _name(found["for"])
    less = "" if found["against"] is None else f" less {_name(found['against'])}"
    if "image_ids" in found:
        print(f"{found['images']} of {found['of']} images; means and standard errors")
    else:
        print(f"the answer is {_name(found['answer'])}")
    print(f"explained is {what}{less} = {found['value']:.4g}, layer {found['layer']}")
    print(f"the rest of the network ran {found['way']}")
    for side, title in (("up", "for it"), ("down", "against it")):
        print(f"\n{title}:\n{'neuron':>8}  {'gradient x activation':>23}  {'change when silenced':>22}")
        for each in found[side]:
            then = "" if "answer_without" not in each else f"  {_name(each['answer_without'])}"
            print(f"{each['neuron']:>8}  {_figure(each, 'contribution'):>23}  {_figure(each, 'effect'):>22}{then}")


def _name(output: dict[str, Any]) -> str:
    number, name = str(output["output"]), output["name"]
    return name if name == number else f"{name} ({number})"


def _figure(each: dict[str, Any], name: str) -> str:
    error = each.get(f"{name}_error")
    return f"{each[name]:+.4g}" + ("" if error is None else f" ± {error:.2g}")
