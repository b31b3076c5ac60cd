"""Small environments that can be learned in a few hundred steps, one for each kind of space.

Each shows a clue and pays for the action that it asks for; a policy that ignores the clue gets the
return that stands beside it. Tests say ``import learnable``; pytest has this folder on its path.
"""

from abc import abstractmethod
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

STEPS = 4
"""Env steps of an episode; each pays at most 1."""


class Clues(gym.Env):
    """What the environments have in common: a new clue at every step, an episode of 4 steps."""

    def __init__(self, env_config: dict[str, Any] | None = None):
        """RLlib gives each environment class its config; there is nothing to set here."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self._left = STEPS
        return self._next_clue(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        reward = self._pay(action)
        self._left -= 1
        return self._next_clue(), reward, self._left == 0, False, {}

    @abstractmethod
    def _next_clue(self) -> Any:
        """Chooses the next answer; returns what the environment shows of it."""

    @abstractmethod
    def _pay(self, action: Any) -> float:
        """The reward for an action, 0 to 1."""


class NestedClue(Clues):
    """A Dict in a Tuple in a Dict: a class and a bit elsewhere make up the answer."""

    observation_space = spaces.Dict(
        {
            "first": spaces.Discrete(2, start=1),
            "rest": spaces.Tuple(
                (
                    spaces.Box(-np.inf, np.inf, (2,), np.float64),
                    spaces.Dict({"bit": spaces.MultiBinary(1)}),
                )
            ),
        }
    )
    action_space = spaces.Discrete(4)

    def _next_clue(self) -> Any:
        first, bit = self.np_random.integers(2), self.np_random.integers(2)
        self._answer = 2 * first + bit
        noise = self.np_random.normal(size=2)
        return {"first": first + 1, "rest": (noise, {"bit": np.array([bit], np.int8)})}

    def _pay(self, action: Any) -> float:
        return float(action == self._answer)


class TwoAnswers(Clues):
    """Two answers at once, out of unequal numbers of choices; each pays a half."""

    observation_space = spaces.MultiDiscrete([2, 3])
    action_space = spaces.MultiDiscrete([2, 3])

    def _next_clue(self) -> Any:
        self._answer = self.np_random.integers([2, 3])
        return self._answer

    def _pay(self, action: Any) -> float:
        return float(np.mean(action == self._answer))


class Masked(Clues):
    """Two of five choices are allowed, the larger one pays; a forbidden one is an error."""

    observation_space = spaces.Dict(
        {"action_mask": spaces.MultiBinary(5), "nothing": spaces.Box(0, 1, (1,), np.float32)}
    )
    action_space = spaces.Discrete(5)

    def _next_clue(self) -> Any:
        self._allowed = np.sort(self.np_random.choice(5, 2, replace=False))
        mask = np.zeros(5, np.int8)
        mask[self._allowed] = 1
        return {"action_mask": mask, "nothing": np.zeros(1, np.float32)}

    def _pay(self, action: Any) -> float:
        if action not in self._allowed:
            raise ValueError(f"Choice {action} is not among those allowed, {self._allowed}.")
        return float(action == self._allowed[1])


class Learnable(NamedTuple):
    """An environment and the return that a policy blind to its clues cannot exceed."""

    env: type[gym.Env]
    blind: float


LEARNABLE = {
    "nested": Learnable(NestedClue, STEPS / 4),
    "two answers": Learnable(TwoAnswers, STEPS * (1 / 2 + 1 / 3) / 2),
    # Always the largest choice there is: allowed in 2 of 5 cases, and so on.
    "masked": Learnable(Masked, STEPS * 0.75),
}
