"""The rules and the picture of Catch."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rllib_dreamerv3.envs.catch import Catch, CatchOptions

LEFT, STAY = 0, 1


@pytest.mark.filterwarnings("ignore:.*render_modes.*")
def test_it_is_a_gymnasium_environment():
    check_env(Catch(CatchOptions(render_mode="rgb_array")))


@pytest.mark.parametrize("seed", range(6))
def test_who_looks_catches_every_ball(seed):
    env = Catch(CatchOptions(image_size=50))
    picture, _ = env.reset(seed=seed)
    for step in range(9):
        white = np.argwhere((picture == 255).all(-1))
        ball = white[0][1] // 10
        # Until the last step the paddle, in the last row, is another colour.
        paddle = np.argwhere((picture == (0, 160, 255)).all(-1))[0][1] // 10
        assert white[0][0] // 5 == step
        picture, reward, terminated, truncated, info = env.step(1 + np.sign(ball - paddle))
        assert terminated == (step == 8)
        assert reward == (1.0 if terminated else 0.0)
        assert not truncated
    assert info == {"is_success": True}


def test_who_stands_still_misses_most():
    env = Catch(CatchOptions())
    env.reset(seed=0)
    returns = []
    for _ in range(200):
        env.reset()
        returns.append([env.step(STAY)[1] for _ in range(9)][-1])
    assert np.mean(returns) == pytest.approx(-0.6, abs=0.15)


def test_the_paddle_stays_on_the_board():
    env = Catch(CatchOptions(image_size=50))
    env.reset(seed=0)
    for _ in range(4):
        picture, *_ = env.step(LEFT)
    assert (picture[45:, :10] == (0, 160, 255)).all()
