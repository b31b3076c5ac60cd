import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from gymnasium.vector import SyncVectorEnv

from rllib_cli.rendering import Camera
from rllib_dreamerv3.errors import EnvironmentDataError
from rllib_dreamerv3.spaces.codecs import make_codecs

SPACE = Dict(
    {
        "left": Box(0, 255, (8, 8, 3), np.uint8),
        "right": Box(-1, 1, (8, 8, 1), np.float32),
        "speed": Box(0, 1, (1,), np.float32),
    }
)


class Pictured(gym.Env):
    observation_space, action_space = SPACE, Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        left = np.zeros((8, 8, 3), np.uint8)
        left[2, 3] = 255, 10, 0
        return {"left": left, "right": np.zeros((8, 8, 1)), "speed": np.ones(1)}, {}

    def render(self):
        return "not a picture"


def camera(**options):
    env = SyncVectorEnv([lambda: Pictured(**options)])
    observations, _ = make_codecs(SPACE, Discrete(2), cnn="strided")
    return Camera(env, observations, "Pictured"), env.reset()[0]


def test_images_of_observations_are_filmed_beside_each_other():
    takes, observation = camera()
    frame = takes.frame(observation)
    assert frame.shape == (256, 512, 3)
    assert frame.dtype == np.uint8
    assert takes.frames_a_second == 30
    # Each pixel has become 32 x 32.
    np.testing.assert_array_equal(frame[64:96, 96:128].reshape(-1, 3), [[255, 10, 0]] * 1024)
    assert (frame[:64, :256] == 0).all()
    # 0 is the middle between -1 and 1.
    assert (frame[:, 256:] == 128).all()


def test_invalid_pictures_are_reported():
    takes, observation = camera(render_mode="rgb_array")
    with pytest.raises(EnvironmentDataError, match=r"render\(\) of Pictured returned an array of"):
        takes.frame(observation)
