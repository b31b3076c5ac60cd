"""Environments with one fault each, and the message about it in training: data for tests.

``docs/environment_errors.md`` is written from this table.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    MultiBinary,
    MultiDiscrete,
    Sequence,
    Text,
    Tuple,
)
from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole


class Base(gym.Env):
    """An environment without faults; keywords add them."""

    action_space = Discrete(2)

    def __init__(self, space=None, obs=None, reset=None, step=None, reward=1.0, **outcome):
        self.observation_space = space or Box(-1.0, 1.0, (3,), np.float32)
        self.obs = obs or (lambda env: env.np_random.uniform(-1, 1, 3).astype(np.float32))
        self.returned_by_reset, self.returned_by_step = reset, step
        self.outcome = {"reward": reward, "terminated": False, "info": {}, **outcome}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        if self.returned_by_reset:
            return self.returned_by_reset(self)
        return self.obs(self), {}

    def step(self, action):
        self.time += 1
        if self.returned_by_step:
            return self.returned_by_step(self)
        reward, terminated, info = self.outcome.values()
        return self.obs(self), reward, terminated, self.time >= 20, info


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        what: In a few words.
        says: Regular expression that the message has to match.
        make: Makes the environment.
    """

    what: str
    says: str
    make: Callable[..., Any]


def _fault(what: str, says: str, **keywords: Any) -> Fault:
    return Fault(what, says, lambda env_config: Base(**keywords))


def _raise(error: Exception) -> Any:
    raise error


def _without(attribute: str) -> Callable[..., Any]:
    class Without(Base):
        def __getattribute__(self, name: str) -> Any:
            if name == attribute:
                raise AttributeError(name)
            return super().__getattribute__(name)

    return lambda env_config: Without()


def _with_action_space(space: Any) -> Callable[..., Any]:
    def make(env_config: Any) -> Base:
        env = Base()
        env.action_space = space
        return env

    return make


class RawTurns:
    """What PettingZoo's environments with turns (AECEnv) look like."""

    possible_agents = ("first", "second")

    def __repr__(self):
        return "tictactoe_v3"

    def observation_space(self, agent):
        return Discrete(3)

    def action_space(self, agent):
        return Discrete(3)

    def reset(self, seed=None, options=None):
        self.agent_selection = "first"


class Key(str, enum.Enum):
    """Keys of a Dict that are texts, too."""

    CAMERA = "camera"
    SPEED = "speed"


NESTED = Dict({"a": Box(-1, 1, (2,)), "b": Tuple([Discrete(3), Discrete(2)])})
IMAGE = Box(0, 255, (64, 64, 3), np.uint8)
MASKED = Dict({"x": Box(-1, 1, (2,)), "action_mask": MultiBinary(2)})
A = np.zeros(2, np.float32)
THREE = np.zeros(3, np.float32)

FAULTS = (
    # What the environment is.
    Fault(
        "its constructor raises",
        "Making .* failed: OSError: no licence",
        lambda env_config: _raise(OSError("no licence for the simulator")),
    ),
    Fault(
        "a function that makes several environments",
        "several environments in one: return one of them",
        lambda env_config: gym.make_vec("CartPole-v1", 2, vectorization_mode="sync"),
    ),
    Fault(
        "a multi-agent environment",
        "multi-agent environment; DreamerV3 trains a single agent",
        lambda env_config: MultiAgentCartPole({"num_agents": 2}),
    ),
    Fault(
        "a multi-agent environment of PettingZoo",
        "made .*, a multi-agent environment; DreamerV3 trains a single agent. Wrap it",
        lambda env_config: RawTurns(),
    ),
    Fault("a function that returns None", "made None, which is no", lambda env_config: None),
    Fault(
        "its class does not accept an option",
        r"failed: TypeError: .*unexpected keyword argument 'goal'",
        lambda env_config: Base.reset(Base(), goal=1),
    ),
    Fault(
        "no observation_space", "observation_space of .* not None", _without("observation_space")
    ),
    Fault("no action_space", "action_space of .* must be a space", _without("action_space")),
    Fault("an action_space that is a number", "action_space of .* not 4", _with_action_space(4)),
    Fault("a Text action", "the action space: Text spaces are not", _with_action_space(Text(3))),
    _fault("a Text observation", "Text spaces are not supported", space=Text(5)),
    _fault("a Sequence", "Sequence spaces are not supported", space=Sequence(Discrete(2))),
    _fault(
        "a Dict with a key that is a tuple",
        r"the observation space at .*: the key \(0, 1\) cannot be written to checkpoints",
        space=Dict({(0, 1): Discrete(2)}),
    ),
    _fault(
        "a Dict with a key that is no valid text",
        r"at '\\ud800': the key '\\ud800' cannot be written to checkpoints. Use texts \(valid",
        space=Dict({"\ud800": Discrete(2)}),
    ),
    _fault(
        "a Dict with a very long key",
        r"The name 'x{40}'\.\.\. of a part .* is too long: .* of 410 characters where 255 are",
        space=Dict({"x" * 400: Discrete(2)}),
    ),
    _fault("a Box of four dimensions", "4 dimensions is neither", space=Box(0, 1, (2, 2, 2, 2))),
    _fault("an empty Box", "holds no values", space=Box(0, 1, (0,))),
    # Observations.
    _fault("another shape", r"shape \(4,\); .* declares \(3,\)", obs=lambda e: np.zeros(4, "f4")),
    _fault(
        "another shape, later",
        r"step\(\) 5 of episode 1 .*: the observation has the shape \(4,\)",
        obs=lambda e: np.zeros(4 if e.time == 5 else 3, "f4"),
    ),
    _fault("text", r"numbers of shape \(3,\), not 'abc'", obs=lambda e: "abc"),
    _fault("None", r"numbers of shape \(3,\), not None", obs=lambda e: None),
    _fault("a ragged list", r"not a list of 2", obs=lambda e: [[1], [1, 2]]),
    _fault("NaN", "returned NaN in 'obs/vector'", obs=lambda e: THREE + np.float32("nan")),
    _fault("infinity", "returned infinity in", obs=lambda e: THREE + np.float32("inf")),
    _fault(
        "an image of floats where bytes are declared",
        r"dtype float64; its space declares uint8: if its values are in \[0, 1\], scale them, "
        r"\(255 \* values\)\.astype\(np\.uint8\), or declare its Box",
        space=IMAGE,
        obs=lambda e: np.full((64, 64, 3), 0.9),
    ),
    _fault(
        "an image of floats up to 255 where bytes are declared",
        r"dtype float32; its space declares uint8: convert it with \.astype\(np\.uint8\)",
        space=IMAGE,
        obs=lambda e: np.full((64, 64, 3), 254.5, np.float32),
    ),
    _fault(
        "an image of floats from -1 to 1 where bytes are declared",
        r"its space declares uint8: its values are outside the bounds of its space: declare its",
        space=IMAGE,
        obs=lambda e: np.full((64, 64, 3), -0.5),
    ),
    _fault(
        "a dict without one of its keys",
        "lacks the key 'b', which its space declares",
        space=NESTED,
        obs=lambda e: {"a": A},
    ),
    _fault(
        "a dict with one key too many",
        "has the key 'c', which its space does not declare",
        space=NESTED,
        obs=lambda e: {"a": A, "b": (1, 1), "c": 1},
    ),
    _fault(
        "a tuple that is too short",
        "the observation at 'b' must be a tuple of 2",
        space=NESTED,
        obs=lambda e: {"a": A, "b": (1,)},
    ),
    _fault(
        "an array where a dict is declared",
        "must be a dict with the keys 'a', 'b', not an array",
        space=NESTED,
        obs=lambda e: A,
    ),
    _fault("a class that does not exist", r"was 7, which", space=Discrete(3), obs=lambda e: 7),
    _fault("a negative class", r"was -1, which", space=Discrete(3), obs=lambda e: -1),
    _fault("a class that is a float", r"was 1\.0, which", space=Discrete(3), obs=lambda e: 1.0),
    _fault(
        "one of several classes that does not exist",
        r"the value 2 in component 1 of 'obs/state'|was array\(\[1, 2\]\), which MultiDiscrete",
        space=MultiDiscrete([2, 2]),
        obs=lambda e: np.array([1, 2]),
    ),
    _fault(
        "a switch that is neither 0 nor 1",
        "which MultiBinary",
        space=MultiBinary(2),
        obs=lambda e: np.array([0, 3]),
    ),
    _fault(
        "a mask that allows no choice",
        "allows no",
        space=MASKED,
        obs=lambda e: {"x": A, "action_mask": np.zeros(2, np.int8)},
    ),
    # Rewards, flags and infos.
    _fault("a reward in a list", "reward must be a number, not a list", reward=[1.0]),
    _fault("a reward in an array", r"an array of shape \(1,\)", reward=np.ones(1)),
    _fault("no reward", "reward must be a number, not None", reward=None),
    _fault("a reward that is text", "reward must be a number, not '1'", reward="1"),
    _fault("a reward of NaN", "returned the reward nan|reward was nan", reward=float("nan")),
    _fault("terminated that is text", "terminated must be True or False", terminated="no"),
    _fault("terminated that is None", "terminated must be True or False", terminated=None),
    _fault("info that is None", "info must be a dict, not None", info=None),
    _fault(
        "info with a key that is not a string",
        "the keys of info must be strings, not 3",
        info={3: 4.0},
    ),
    _fault(
        "step() with Gym's old signature",
        r"step\(\) must return five values \(observation, .* a tuple of 4",
        step=lambda e: (THREE, 1.0, False, {}),
    ),
    _fault("step() without return", "five values .* not None", step=lambda e: None),
    _fault(
        "reset() with Gym's old signature",
        r"reset\(\) must return two values, .* not an array of shape \(3,\)",
        reset=lambda e: THREE,
    ),
    # Custom exceptions.
    _fault(
        "step() raises",
        r"step\(\) 1 of episode 1 of .* failed: OSError: the motor is stuck\n  File ",
        step=lambda e: _raise(OSError("the motor is stuck")),
    ),
    _fault(
        "reset() raises",
        r"reset\(\) of episode 1 of .* failed: KeyError: 'level'\n  File ",
        reset=lambda e: _raise(KeyError("level")),
    ),
    _fault(
        "step() raises a page of text",
        r"failed: RuntimeError: line 0 \.\.\.\n  File ",
        step=lambda e: _raise(RuntimeError("\n".join(f"line {i}" for i in range(50)))),
    ),
)
