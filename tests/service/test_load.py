"""The service under load while it is disturbed, for some seconds; `tests.load` runs for as long as one likes."""

from pathlib import Path

import pytest

from tests.load.run import Plan, load


@pytest.mark.slow  # a minute; a killed worker and a new generation have quick tests each
def test_no_answer_is_wrong_while_generations_change_and_workers_are_killed(small_index: Path, tmp_path: Path) -> None:
    plan = Plan(2.0, generations=4, connections=6, publish_every=0.3, kill_every=0.8, sample_every=0.5, workers=2)
    found = load(small_index, tmp_path, plan)
    assert found["wrong"] == found["unexplained"] == found["unexpected"] == []
    assert found["kills"] >= 2
    assert found["generations_published"] >= 3
    assert min(found["answered"].values()) > 0
    assert found["failed"] <= found["kills"] * plan.connections
