"""In which order files of tests begin, where they run side by side.

A file runs on one core from its first test to its last, so that its fixtures are made once. The longest begin first:
one that begins last runs alone, while the other core waits.
"""

from pathlib import Path

import faiss
import pytest
import torch

LONGEST = (
    "explorer", "test_distributed", "test_processes", "test_generated_requests", "test_hostile_files", "test_jobs",
    "test_answers", "test_unitscope", "test_output", "test_benchmarks", "test_load", "test_passes", "test_faults",
    "test_nearest", "test_receptive_field_models", "test_vectors", "test_remote", "test_dictionaries", "test_layers",
    "test_jobs_processes", "test_codes", "test_mistakes", "test_hostile_requests", "test_kill", "test_models",
    "test_layouts", "test_descriptors", "test_catalog", "test_attribution", "test_precision", "test_receptive_field",
    "test_receptive_field_torchlens", "test_relabel", "test_write_shards",
)  # fmt: skip
"""By the seconds of CPU that each takes, its processes included; all others take less than 12.

The explorer's files stay together, so that a worker keeps their browser and their service from one to the next.
"""


def longest_first(items: list[pytest.Item]) -> None:
    """Order tests by their file; within a file they stay as they stand."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(group(Path(item.path)), len(rank)))


def group(file: Path) -> str:
    """What `LONGEST` calls a file of tests."""
    return "explorer" if file.parent.name == "explorer" else file.stem


def share_cores() -> None:
    """One thread for each process of tests: on busy cores, threads that wait for each other take a fifth more time."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
