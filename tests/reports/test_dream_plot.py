import numpy as np
import synthetic
from synthetic_dreams import dream_of

from rllib_dreamerv3.reports.dream_plot import MAX_COMPONENTS, components, plots, still_picture
from rllib_dreamerv3.spaces.layout import ObservationLayout, Vector

BLACK, WHITE = [0, 0, 0], [255, 255, 255]


def has(picture, colour):
    return bool((picture == colour).all(-1).any())


def test_components_come_in_the_order_of_the_space():
    dream = dream_of(synthetic.EVERYTHING)
    found = components(dream)
    names = ["a[0]", "a[1]", "c[0]", "c[1]", "e[0]", "reward", "continue"]
    assert [x.name for x in found] == names
    assert [x.name for x in found if x.is_class] == ["c[0]", "c[1]"]
    truth, reconstruction, imagination = found[1].values
    np.testing.assert_array_equal(truth, dream.truth["obs/a"][..., 1])
    np.testing.assert_array_equal(reconstruction, truth)
    np.testing.assert_array_equal(imagination, dream.imagination["obs/a"][..., 1])


def test_truth_context_and_imagination_are_there():
    picture = plots(dream_of(synthetic.VECTOR, length=20, observed=8))
    assert picture.dtype == np.uint8
    assert has(picture, BLACK)
    assert has(picture, WHITE)
    gray = int(0.88 * 255)
    assert (picture == [gray] * 3).all(-1).sum() > 1000
    red = (picture[..., 0] > 180) & (picture[..., 1:] < 80).all(-1)
    green = (picture[..., 1] > 120) & (picture[..., 0] < 100) & (picture[..., 2] < 100)
    assert red.sum() > 50
    assert green.sum() > 50


def test_what_is_imagined_is_drawn():
    dream = dream_of(synthetic.VECTOR)
    before = plots(dream)
    dream.imagination["obs/x"][:, -1] += 3.0
    assert (plots(dream) != before).any()
    np.testing.assert_array_equal(plots(dream), plots(dream))


def test_more_numbers_than_can_be_read_are_left_out():
    def height(size):
        return plots(dream_of(ObservationLayout((Vector("obs/x", size),)))).shape[0]

    assert height(1) < height(MAX_COMPONENTS) == height(MAX_COMPONENTS + 5)


def test_still_picture_has_strips_above_the_plots():
    dream = dream_of(synthetic.EVERYTHING, rows=1, length=40)
    plotted, still = plots(dream), still_picture(dream)
    above = still.shape[0] - plotted.shape[0]
    assert above > 2 * 3 * 16
    np.testing.assert_array_equal(still[above:, : plotted.shape[1]], plotted)
    without = dream_of(synthetic.VECTOR)
    np.testing.assert_array_equal(still_picture(without), plots(without))


def test_notebooks_keep_their_figures():
    from matplotlib import get_backend
    from matplotlib._pylab_helpers import Gcf

    before = get_backend(auto_select=False)
    plots(dream_of(synthetic.VECTOR))
    assert get_backend(auto_select=False) == before
    assert not Gcf.figs
