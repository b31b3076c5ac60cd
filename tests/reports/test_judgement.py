"""Verdicts on runs, by the returns of the authors' seeds.

Finger Spin from states: (0, 5000] 1 0 0 1 0, (5000, 10000] 68 81 11 21 0 (36.2 +- 32.2), and
(10000, 15000] 257.5 312.5 338 206 1 (223 +- 120).
"""

import pytest
from written_curves import OPTIONS, write_curve
from written_run import result, write_run

from rllib_dreamerv3.errors import CheckpointError, ConfigError
from rllib_dreamerv3.reports.judgement import judge, labels, load_curves

TASK = "dmc_finger_spin"


def judged(*paths, task=TASK):
    prescribed = {"dmc_proprio_v1": {**OPTIONS, "env": "dm_control/finger-spin-v0"}}
    return judge(task, load_curves(task, paths), prescribed)


@pytest.mark.parametrize(
    ("value", "verdict", "z", "beaten"),
    [
        (36.2 + 32.2, "inside", 1.0, 4),
        (36.2 + 32.3, "above", 1.0, 4),
        (36.2 - 32.2, "inside", -1.0, 1),
        (36.2 - 32.3, "below", -1.0, 1),
        (81, "above", 1.39, 4),
        (81.1, "above", 1.39, 5),
    ],
)
def test_verdicts_go_by_one_deviation(tmp_path, value, verdict, z, beaten):
    path = write_curve(tmp_path / "x.csv", [0, 0, value, value, value])
    (judgement,) = judged(path)
    last = judgement.windows[-1]
    assert str(last.window) == "(5,000, 10,000]"
    assert (last.verdict, last.beaten) == (verdict, beaten)
    assert last.z == pytest.approx(z, abs=0.01)
    assert judgement.final is last
    assert judgement.sentence == (
        f"{verdict} in (5,000, 10,000], above {beaten} of the authors' 5 seeds"
    )


def test_the_mean_of_our_seeds_is_judged(tmp_path):
    one = write_curve(tmp_path / "a_seed0.csv", [0, 0, 0, 0, 0], seed=0)
    two = write_curve(tmp_path / "a_seed1.csv", [0, 0, 80, 80, 80], seed=1)
    (judgement,) = judged(two, one)
    assert [curve.name for curve in judgement.curves] == ["seed 0", "seed 1"]
    assert judgement.windows[1].ours == (0, 80)
    assert judgement.windows[1].mean == 40
    assert judgement.windows[1].verdict == "inside"


def test_a_run_may_have_fewer_windows_than_the_authors(tmp_path):
    (judgement,) = judged(write_curve(tmp_path / "x.csv", [0] * 7))
    assert [str(each.window) for each in judgement.windows] == [
        "(0, 5,000]",
        "(5,000, 10,000]",
        "(10,000, 15,000]",
    ]
    assert str(judgement.unreached[0]) == "(20,000, 25,000]"
    assert judgement.final.window.end == 15_000
    assert judgement.final.verdict == "below"


def test_a_run_that_ended_early_takes_no_verdict_from_the_window(tmp_path):
    write_curve(tmp_path / "a_seed0.csv", [0] * 7, seed=0)
    write_curve(tmp_path / "a_seed1.csv", [0] * 6, seed=1)
    (judgement,) = judged(tmp_path)
    last = judgement.windows[-1]
    assert (last.verdict, last.reason) == (None, "seed 1 ends at 12,000 env steps")
    assert judgement.final.window.end == 10_000


def test_a_window_without_an_episode_of_one_seed_has_no_verdict(tmp_path):
    write_curve(tmp_path / "a_seed0.csv", [0] * 7, seed=0)
    write_curve(tmp_path / "a_seed1.csv", [0, 0, None, None, None, 0, 0], seed=1)
    (judgement,) = judged(tmp_path)
    middle = judgement.windows[1]
    assert middle.ours == (0, None)
    assert (middle.verdict, middle.reason) == (None, "seed 1 has no episode in (5,000, 10,000]")
    assert judgement.final.window.end == 15_000


def test_other_settings_have_no_verdict_and_say_why(tmp_path):
    (judgement,) = judged(write_curve(tmp_path / "x.csv", [0] * 7, training_ratio=256))
    assert judgement.final is None
    assert {each.verdict for each in judgement.windows} == {None}
    assert judgement.sentence == "no verdict: training_ratio 256 instead of 512"
    assert judgement.settings == "v1, size S, training ratio 256"


def test_without_a_completed_window_the_reason_is_said(tmp_path):
    (judgement,) = judged(write_curve(tmp_path / "x_seed2.csv", [0], seed=2))
    assert judgement.sentence == "no verdict: seed 2 ends at 2,000 env steps"


def test_deviations_that_are_allowed_stand_beside_the_verdict(tmp_path):
    path = write_curve(tmp_path / "x.csv", [0] * 5, model_size="XS", imag_last=16)
    (judgement,) = judged(path)
    assert judgement.sentence == (
        "below in (5,000, 10,000], above 0 of the authors' 5 seeds; with model_size XS instead of "
        "S, imag_last 16 instead of 0"
    )


def test_a_replay_smaller_than_the_run_is_said(tmp_path):
    for capacity, said in ((9_999, ("replay of 9,999 records",)), (10_000, ())):
        options = {"replay_buffer_config": {"capacity": capacity}}
        (judgement,) = judged(write_curve(tmp_path / "x.csv", [0] * 5, **options))
        assert judgement.differences.others == said


def test_different_settings_are_judged_separately(tmp_path):
    write_curve(tmp_path / "a.csv", [0] * 5, seed=0)
    write_curve(tmp_path / "b.csv", [90] * 5, seed=0, model_size="XS")
    write_curve(tmp_path / "c.csv", [0] * 5, seed=1)
    first, second = judged(tmp_path)
    assert [curve.path.stem for curve in first.curves] == ["a", "c"]
    assert [curve.path.stem for curve in second.curves] == ["b"]
    assert (first.final.verdict, second.final.verdict) == ("below", "above")


def test_labels_name_what_tells_settings_of_one_task_apart(tmp_path):
    shared = {"model_size": "XS", "gamma": 0.9}
    write_curve(tmp_path / "a.csv", [0] * 5)
    write_curve(tmp_path / "b.csv", [0] * 5, **shared)
    write_curve(tmp_path / "c.csv", [0] * 5, **shared, imag_last=16)
    write_curve(tmp_path / "d.csv", [0] * 5, env_config={"action_repeat": 4})
    assert labels(judged(tmp_path)) == [
        "v1, size S, training ratio 512",
        "v1, size XS, training ratio 512",
        "v1, size XS, training ratio 512, imag_last 16",
        "v1, size S, training ratio 512, action_repeat 4",
    ]


def test_windows_of_which_only_statistics_are_known_are_judged(tmp_path):
    returns = [900] * 2 + [None] * 115 + [930] * 8
    (judgement,) = judged(write_curve(tmp_path / "x.csv", returns))
    assert judgement.final.window.end == 250_000
    assert judgement.final.beaten is None
    assert judgement.sentence == "inside in (237,500, 250,000]"


def test_z_is_unknown_if_the_authors_seeds_agree(tmp_path):
    env = "dm_control/ball_in_cup-catch-v0"
    (judgement,) = judged(
        write_curve(tmp_path / "x.csv", [1, 1, 1], env=env), task="dmc_ball_in_cup_catch"
    )
    assert (judgement.windows[0].z, judgement.windows[0].verdict) == (None, "above")


def test_runs_are_found_in_directories_and_counted_once(tmp_path):
    path = write_curve(tmp_path / "a.csv", [0])
    write_curve(tmp_path / "b.csv", [0], env="dm_control/walker-walk-v0")
    assert [x.path.stem for x in load_curves(TASK, [tmp_path, path])] == ["a"]


def test_folders_of_runs_are_read(tmp_path):
    results = [result(x, 1.0, config=dict(OPTIONS)) for x in (2000, 4000, 6000)]
    for one in results:
        one["env_runners"]["num_episodes"] = 4
    write_run(tmp_path / "mine" / "trial", results)
    # As runs have it.
    (tmp_path / "mine" / "trial" / "progress.csv").write_text("a,b\n1,2\n")
    for path in (tmp_path, tmp_path / "mine" / "trial"):
        (curve,) = load_curves(TASK, [path])
        assert curve.end == 6000
    (judgement,) = judged(tmp_path)
    assert judgement.windows[0].ours == (1.0,)
    assert judgement.windows[0].verdict == "above"


def test_what_cannot_be_judged_is_named(tmp_path):
    a = write_curve(tmp_path / "one" / "a.csv", [0], seed=0)
    b = write_curve(tmp_path / "two" / "b.csv", [0], seed=0)
    with pytest.raises(CheckpointError, match=r"a\.csv and .*b\.csv are both seed 0"):
        judged(a, b)
    with pytest.raises(CheckpointError, match=r"There is no .*nothing"):
        judged(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"a\.csv has no run of dmc_walker_walk, but of dm_c"):
        judged(a, task="dmc_walker_walk")
    late = write_curve(tmp_path / "late.csv", [None] * 7 + [0])
    with pytest.raises(CheckpointError, match=r"late\.csv: no episode ended in a window.*16,000"):
        judged(late)
    wrong = write_curve(tmp_path / "wrong.csv", [0], env_config={"action_repeet": 2})
    with pytest.raises(ConfigError, match=r"wrong\.csv: .*action_repeet"):
        judged(wrong)


def test_curves_without_their_options_are_not_left_out(tmp_path):
    write_curve(tmp_path / "a.csv", [0])
    write_curve(tmp_path / "b.csv", [0]).with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match=r"b\.json, which has the options"):
        judged(tmp_path)
