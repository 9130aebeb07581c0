"""In which order files of tests begin, where they run side by side.

A file runs on one core from its first test to its last, so that its fixtures are made once. The longest begin first:
one that begins last runs alone, while the other core waits.
"""

from pathlib import Path

import faiss
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

EXPLORER = "tests/explorer"

LONGEST = (
    "explorer", "test_generated_requests", "test_distributed", "test_processes", "test_jobs", "test_answers",
    "test_unitscope", "test_vectors", "test_hostile_files", "test_codes", "test_passes", "test_remote", "test_shortcut",
    "test_imports", "test_dictionaries", "test_jobs_processes", "test_output", "test_kernels", "test_layers",
    "test_faults", "test_assistants", "test_output_layer", "test_receptive_field_models", "test_benchmarks",
    "test_encoder_scores", "test_catalog", "test_hostile_requests", "test_maps_file", "test_precision", "test_nearest",
    "test_clients", "test_atlas", "test_learning", "test_relabel", "test_neuron_atlas", "test_notes", "test_frozen",
    "test_scores", "test_receptive_field", "test_caching", "test_notes_crashes",
)  # fmt: skip
"""By the seconds of CPU that each takes, its processes included; all others take less than 12."""


def longest_first(items: list[pytest.Item]) -> None:
    """Order tests by their file; within a file they stay as they stand."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(Path(group(item.nodeid)).stem, len(rank)))


def group(test: str) -> str:
    """The file of a test (``FILE::NAME``), or the folder of the explorer's files: one browser and one service do."""
    file = test.partition("::")[0]
    return EXPLORER if file.startswith(EXPLORER) else file


class ByGroup(LoadScopeScheduling):
    """Gives a worker all tests of a group."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def share_cores() -> None:
    """One thread for each process of tests: on busy cores, threads that wait for each other take a fifth more time."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
