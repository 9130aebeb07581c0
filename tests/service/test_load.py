"""The service under load while it is disturbed, for some seconds; `tests.load` runs for as long as one likes."""

from pathlib import Path

from tests.load.run import Plan, load


def test_no_answer_is_wrong_while_generations_change_and_workers_are_killed(small_index: Path, tmp_path: Path) -> None:
    plan = Plan(6.0, generations=3, connections=12, publish_every=0.2, kill_every=1.5, sample_every=1.0, workers=2)
    found = load(small_index, tmp_path, plan)
    assert found["wrong"] == found["unexplained"] == found["unexpected"] == []
    assert found["kills"] >= 2
    assert found["generations_published"] >= 3
    assert min(found["answered"].values()) > 0
    assert found["failed"] <= found["kills"] * plan.connections
