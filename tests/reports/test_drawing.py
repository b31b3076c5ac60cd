"""Pictures of curves: what is in them, and what they do not touch."""

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from rllib_dreamerv3.reports.curve import Curve, Points
from rllib_dreamerv3.reports.drawing import (
    Line,
    as_svg,
    colours_of,
    draw_lines,
    draw_returns,
    return_lines,
    write_png,
)
from rllib_dreamerv3.reports.published import Published, Window


def points(steps, values):
    return Points(list(map(float, steps)), [x / 10 for x in steps], list(map(float, values)))


def curve(steps, values, group="", env="CartPole-v1", evaluation=None):
    return Curve(group, env, points(steps, values), evaluation or Points())


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_seeds_are_a_mean_in_a_band_over_what_they_share():
    (axes,) = draw_returns([curve([0, 100], [0, 10]), curve([50, 150], [20, 20])]).axes
    mean = axes.lines[-1]
    assert mean.get_xdata()[[0, -1]] == pytest.approx([50, 100])
    # At 50 the runs are at 5 and 20, at 100 at 10 and 20.
    assert mean.get_ydata()[[0, -1]] == pytest.approx([12.5, 15])
    (band,) = axes.collections
    corners = band.get_paths()[0].get_extents()
    assert (corners.y0, corners.y1) == pytest.approx((5, 20))
    assert labels(axes) == ["training (mean of 2)"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([923.0, 55.5, 17.3, 15.3, 13.0], "log"),
        ([1.6, -0.01, 0.02, 0.01, -0.02], "symlog"),
        ([5.0, 0.0, 0.0, 0.1, 0.1], "symlog"),
        ([5.5, 3.0, 2.0, 1.9], "linear"),
        ([0.0, 0.0], "linear"),
    ],
)
def test_a_first_value_does_not_flatten_the_others(values, scale):
    lines = [Line("a", [points(range(len(values)), values)])]
    (axes,) = draw_lines(lines, {"a": "black"}, "steps", "loss", small=True, all_sizes=True).axes
    assert axes.get_yscale() == scale
    (axes,) = draw_lines(lines, {"a": "black"}, "steps", "loss", small=True).axes
    assert axes.get_yscale() == "linear"


def test_runs_that_share_no_part_of_the_axis_are_drawn_alone():
    (axes,) = draw_returns([curve([0, 10], [1, 1]), curve([20, 30], [2, 2])]).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[1, 1], [2, 2], []]


def test_each_environment_has_a_panel_and_each_group_a_colour():
    curves = [
        curve([0, 1], [1, 2], "a", "Pong", points([1], [3])),
        curve([0, 1], [1, 2], "b", "Pong"),
        curve([0, 1], [1, 2], "b", "Boxing"),
    ]
    pong, boxing = draw_returns(curves).axes
    assert [axes.get_title(loc="left") for axes in (pong, boxing)] == ["Pong", "Boxing"]
    assert labels(pong) == ["a, training", "a, evaluation", "b, training"]
    a, of_evaluation, b = (line.get_color() for line in pong.lines)
    assert a == of_evaluation != b == boxing.lines[0].get_color()


def test_by_time_the_axis_has_a_unit_that_fits():
    long = curve([0, 360_000], [1, 2])
    (axes,) = draw_returns([long], "time").axes
    assert axes.get_xlabel() == "hours"
    assert axes.lines[0].get_xdata()[-1] == pytest.approx(10)


def test_long_runs_are_thinned_by_means():
    x = np.arange(10_001)
    (axes,) = draw_returns([curve(x, x % 2)]).axes
    drawn = axes.lines[0]
    assert len(drawn.get_xdata()) <= 400
    assert drawn.get_xdata()[[0, -1]] == pytest.approx([0, 10_000])
    assert drawn.get_ydata()[:-1] == pytest.approx(0.5, abs=0.05)


def test_no_data_draws_a_note():
    (axes,) = draw_returns([]).axes
    assert axes.texts[0].get_text() == "nothing reported yet"


def test_published_scores_are_a_curve_or_a_level_beyond_the_run():
    windows = (Window(5, 15, (), 1.0, 0.5, 5), Window(45, 55, (), 4.0, 0.5, 5))
    scores = Published("published", "s", windows)
    for end, expected in ((100, [1.0, 4.0]), (5, [4.0, 4.0])):
        lines = return_lines([curve([0, end], [0, 1])])
        (axes,) = draw_lines(lines, colours_of([""]), "steps", "t", published=[scores]).axes
        assert list(axes.lines[-1].get_ydata()) == expected
        assert axes.get_xlim()[1] < 1.2 * max(end, 10)


def test_a_picture_in_a_page_is_part_of_it():
    group = "<b> & $x^2$ 50%"
    lines = [Line(group, [points([0, 1], [1, 2])])]
    svg = as_svg(draw_lines(lines, colours_of([group]), "steps", group), "a &amp; b")
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == "a & b"
    assert root.get("width") is root.get("height") is None
    assert root.get("viewBox")
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(group) == 2  # title and legend
    assert "currentColor" in svg
    assert "<metadata" not in svg
    assert all(
        value.startswith("#")
        for each in root.iter()
        for name, value in each.attrib.items()
        if name.endswith("href")
    )


def test_a_file_is_whole_or_not_there(tmp_path):
    figure = draw_returns([curve([0, 1], [1, 2])])
    path = tmp_path / "curve.png"
    write_png(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    figure.savefig = lambda *args, **options: 1 / 0
    with pytest.raises(ZeroDivisionError):
        write_png(figure, path)
    assert [each.name for each in tmp_path.iterdir()] == ["curve.png"]


def test_nothing_is_loaded_until_something_is_drawn_and_pyplot_never():
    code = (
        "import sys\n"
        "from rllib_dreamerv3.reports import drawing, page\n"
        "assert 'matplotlib' not in sys.modules\n"
        "assert 'tensorflow' not in sys.modules\n"
        "drawing.draw_returns([])\n"
        "assert 'matplotlib' in sys.modules\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
