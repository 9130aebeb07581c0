"""In which order files of tests begin, where they run side by side.

A file runs on one core from its first test to its last, so that its fixtures are made once. The longest begin first:
one that begins last runs alone, while the other core waits.
"""

from pathlib import Path

import faiss
import pytest
import torch

LONGEST = (
    "test_receptive_field_models", "test_distributed", "test_nearest", "test_processes", "test_access", "test_jobs",
    "test_answers", "test_hostile_files", "test_attribution", "test_passes", "test_images", "test_vectors",
    "test_admission", "test_kill", "test_generated_requests", "test_codes", "test_faults", "test_benchmarks",
    "test_output", "test_concepts", "test_urls", "test_unitscope", "test_load", "test_neurons",
    "test_receptive_field_torchlens", "test_receptive_field", "test_safety", "test_uploads", "test_catalog",
    "test_layouts", "test_generations", "test_imports", "test_precision", "test_programs",
)  # fmt: skip
"""As `--durations=0` had them; all others take less than 25 s."""


def longest_first(items: list[pytest.Item]) -> None:
    """Order tests by their file; within a file they stay as they stand."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(Path(item.path).stem, len(rank)))


def share_cores() -> None:
    """One thread for each process of tests: on busy cores, threads that wait for each other take a fifth more time."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
