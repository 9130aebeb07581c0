"""In which order files of tests begin, where they run side by side.

A file runs on one core from its first test to its last, so that its fixtures are made once. The longest begin first:
one that begins last runs alone, while the other core waits.
"""

import faiss
import pytest
import torch

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
    """Order tests by their file; within a file they stay as they stand. A worker takes a group of files together."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(_named(item), len(rank)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _named(item: pytest.Item) -> str:
    """What `LONGEST` calls a test's file."""
    return "explorer" if item.path.parent.name == "explorer" else item.path.stem


def _group(item: pytest.Item) -> str:
    """A test's file; the explorer's are one group, so that one worker starts one browser and one service for them."""
    return "explorer" if item.path.parent.name == "explorer" else f"{item.path.parent.name}/{item.path.stem}"


def share_cores() -> None:
    """One thread for each process of tests: on busy cores, threads that wait for each other take a fifth more time."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
