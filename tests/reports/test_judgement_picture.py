"""The picture of judged runs over the authors' seeds."""

from written_curves import OPTIONS, write_curve

from rllib_dreamerv3.reports.judgement import judge, load_curves
from rllib_dreamerv3.reports.judgement_picture import draw_judgements


def judged(task, directory):
    prescribed = {"dmc_proprio_v1": OPTIONS, "atari": {"training_ratio": 1024}}
    return judge(task, load_curves(task, [directory]), prescribed)


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_each_task_has_a_panel_with_the_authors_seeds_below_ours(tmp_path):
    walker = "dm_control/walker-walk-v0"
    write_curve(tmp_path / "mine" / "a.csv", [0, 1, 2, 3, 4])
    write_curve(tmp_path / "mine" / "b.csv", [5, 6], training_ratio=256)
    write_curve(tmp_path / "mine" / "c.csv", [1, 2], env=walker)
    directory = tmp_path / "mine"
    found = judged("dmc_finger_spin", directory) + judged("dmc_walker_walk", directory)
    spin, walk = (axes for axes in draw_judgements(found).axes if axes.get_visible())
    assert spin.get_title("left") == "dmc_finger_spin"
    assert walk.get_title("left") == "dmc_walker_walk"
    drawn = lines(spin)
    ours = drawn["v1, size S, training ratio 512"]
    assert list(ours.get_ydata()) == [0, 1, 2, 3, 4]
    assert "v1, size S, training ratio 256" in drawn
    theirs = drawn["each of the authors' 5 seeds"]
    assert list(theirs.get_xdata())[:2] == [2500, 7500]
    assert list(theirs.get_ydata())[:2] == [1, 68]
    assert sum(line.get_linewidth() == theirs.get_linewidth() for line in spin.lines) == 5
    assert theirs.get_zorder() < ours.get_zorder()
    # Not all the way to 250,000, which would flatten what is shown.
    assert max(theirs.get_xdata()) < 25_000


def test_seeds_that_lack_an_episode_are_dots(tmp_path):
    path = write_curve(
        tmp_path / "x.csv", [300] * 7, env="ALE/KungFuMaster-v5", env_config={}, training_ratio=1024
    )
    (axes,) = draw_judgements(judged("atari_kung_fu_master", path)).axes
    dots = [line for line in axes.lines if line.get_linestyle() == "None"]
    # (10000, 12500] has four of five seeds.
    assert list(dots[0].get_ydata()) == [6700, 19500, 7200, 5350]
    assert set(dots[0].get_xdata()) == {11_250}
