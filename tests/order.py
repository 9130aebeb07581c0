"""In which order files of tests begin, where they run side by side.

A file runs on one core from its first test to its last, so that its fixtures are made once. The longest begin first:
one that begins last runs alone, while the other core waits.
"""

from pathlib import Path

import faiss
import pytest
import torch

LONGEST = (
    "test_distributed", "test_generated_requests", "test_processes", "test_hostile_files", "test_access", "test_jobs",
    "test_answers", "test_unitscope", "test_output", "test_benchmarks", "test_nearest", "test_receptive_field_models",
    "test_passes", "test_images", "test_urls", "test_mistakes", "test_neurons", "test_vectors", "test_faults",
    "test_remote", "test_dictionaries", "test_layers", "test_made", "test_why", "test_codes", "test_load",
    "test_hostile_requests", "test_kill", "test_models", "test_layouts",
    "test_descriptors", "test_catalog", "test_attribution", "test_page", "test_reference", "test_precision",
    "test_receptive_field", "test_receptive_field_torchlens", "test_relabel", "test_write_shards",
)  # fmt: skip
"""By the seconds of CPU that each takes, its processes included; all others take less than 12."""


def longest_first(items: list[pytest.Item]) -> None:
    """Order tests by their file; within a file they stay as they stand."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(Path(item.path).stem, len(rank)))


def share_cores() -> None:
    """One thread for each process of tests: on busy cores, threads that wait for each other take a fifth more time."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
