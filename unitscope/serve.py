"""``serve``: what ``python -m service`` is."""

import argparse
import os

from service.settings import Settings, environment_name


def add_options(command: argparse.ArgumentParser) -> None:
    Settings.add_options(command, required_directory=environment_name("directory") not in os.environ)


def run(options: argparse.Namespace) -> int:
    from service.__main__ import main

    return main(options.arguments, "unitscope serve")
