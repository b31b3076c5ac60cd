"""Curves of runs of the command."""

import learning
from written_run import result, write_run


def test_a_curve_has_the_results_in_which_episodes_have_ended(tmp_path):
    results = [result(steps, float(steps)) for steps in (100, 200, 300)]
    for one, ended in zip(results, (4, 0, 4), strict=True):
        one["env_runners"]["num_episodes"] = ended
    write_run(tmp_path / "run" / "trial", results)
    rows = list(learning.curve(tmp_path / "run"))
    assert [(row["env_steps"], row["return"]) for row in rows] == [("100", "100"), ("300", "300")]
    assert list(learning.windows(rows, 200)) == ["(0, 200]: 100.0", "(200, 400]: 300.0"]
    assert learning.last_step(tmp_path / "run") == 300
    assert learning.last_step(tmp_path / "none") == 0
