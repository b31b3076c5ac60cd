"""Wraps environments to report their errors where they occur, with messages for their authors."""

import sys
import traceback
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rllib_dreamerv3.envs.returned_values import (
    FIVE_VALUES,
    wrong_info,
    wrong_outcome,
    wrong_reset,
    wrong_step,
    wrong_value,
)
from rllib_dreamerv3.errors import (
    CallbackFailedError,
    EnvironmentDataError,
    EnvironmentFailedError,
)

# Packages whose code is not the user's.
_LIBRARIES = ("gymnasium", "numpy", "ray", "rllib_cli", "rllib_dreamerv3")
_MAX_FRAMES = 3
_MAX_LETTERS = 200


def name_of_env(env: Any) -> str:
    """Return an environment's name in messages; ``module:Class`` for a class or function."""
    if isinstance(env, str):
        return env
    made_by = getattr(env, "__qualname__", None)
    return f"{env.__module__}:{made_by}" if made_by else repr(env)


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of an exception's traceback that are in the user's code."""
    modules = [sys.modules.get(name) for name in _LIBRARIES]
    libraries = [Path(module.__file__).parent for module in modules if module and module.__file__]
    return [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(Path(frame.filename).is_relative_to(library) for library in libraries)
    ]


def user_location(error: BaseException) -> str:
    """Return the last line of the user's code as " (file, line 3)"; empty if there is none."""
    if isinstance(error, EnvironmentFailedError | EnvironmentDataError | CallbackFailedError):
        return ""
    frames = user_frames(error)[-1:]
    return f" ({frames[0].filename}, line {frames[0].lineno})" if frames else ""


def failed_call(what: str, error: Exception) -> EnvironmentFailedError:
    """Build the error for an exception that an environment has raised.

    Args:
        what: The call, as in ``step 3 of my_env:Reach``.
        error: The exception.

    Returns:
        The error, with at most six lines, including frames of the user's code.
    """
    if isinstance(error, EnvironmentFailedError):
        return error
    text = in_lines(what, error)
    if not user_frames(error) and "unpack" in str(error):
        text += f"\nstep() must return five values ({FIVE_VALUES}), reset() two."
    return EnvironmentFailedError(text)


def in_lines(what: str, error: BaseException) -> str:
    """Describe an exception of the user's code in at most six lines, with frames of that code.

    Args:
        what: What failed.
        error: The exception.
    """
    first, *more = str(error).splitlines() or [""]
    message = first if len(first) <= _MAX_LETTERS else f"{first[:_MAX_LETTERS]}..."
    lines = [f"{what} failed: {type(error).__name__}: {message}{' ...' if more else ''}"]
    frames = user_frames(error)[-_MAX_FRAMES:]
    for frame in frames:
        lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
    if frames and frames[-1].line:
        lines.append(f"    {frames[-1].line}")
    return "\n".join(lines)


class CheckedEnv(gym.Wrapper):
    """Checks the values that an environment returns, for better messages than NumPy's errors.

    Compares the results of ``reset()`` and ``step()`` with Gymnasium's interface and the spaces:
    nesting, shapes, types and classes. The values of arrays are not checked: bounds, NaN and
    infinity are checked for all environments together.
    """

    def __init__(self, env: gym.Env, name: str):
        """Wrap one environment.

        Args:
            env: The environment.
            name: Its name in messages.

        Raises:
            EnvironmentDataError: If it has no spaces.
        """
        for space in ("observation_space", "action_space"):
            found = getattr(env, space, None)
            if not isinstance(found, gym.Space):
                raise EnvironmentDataError(
                    f"{space} of {name} must be a space of Gymnasium, not {found!r:.200}. Set "
                    f"self.{space} in its __init__()."
                )
        super().__init__(env)
        self._name, self._episode, self._step = name, 0, 0
        self._space = env.observation_space
        is_box = isinstance(self._space, spaces.Box)
        self._shape = self._space.shape if is_box else None
        self._dtype = self._space.dtype if is_box else None

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Reset the environment.

        Raises:
            EnvironmentFailedError: If it raised an exception.
            EnvironmentDataError: If the returned values are invalid.
        """
        self._episode, self._step = self._episode + 1, 0
        try:
            returned = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise failed_call(self._where(), error) from error
        if wrong := wrong_reset(returned):
            raise self._wrong(wrong)
        self._check_observation(returned[0])
        for wrong in wrong_info(returned[1]):
            raise self._wrong(wrong)
        return returned

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment.

        Raises:
            EnvironmentFailedError: If it raised an exception.
            EnvironmentDataError: If the returned values are invalid.
        """
        self._step += 1
        try:
            returned = self.env.step(action)
        except Exception as error:
            raise failed_call(self._where(), error) from error
        if wrong := wrong_step(returned):
            raise self._wrong(wrong)
        observation, reward, terminated, truncated, info = returned
        self._check_observation(observation)
        if not (
            type(reward) is float
            and type(terminated) is type(truncated) is bool
            and type(info) is dict
            and not info
        ):
            for wrong in wrong_outcome(reward, terminated, truncated, info):
                raise self._wrong(wrong)
        return returned

    def _check_observation(self, observation: Any) -> None:
        if (
            type(observation) is np.ndarray
            and observation.shape == self._shape
            and observation.dtype == self._dtype
        ):
            return
        for wrong in wrong_value(self._space, observation):
            raise self._wrong(wrong, "environment, or the space that it declares")

    def _where(self) -> str:
        call = f"step() {self._step}" if self._step else "reset()"
        return f"{call} of episode {self._episode} of {self._name}"

    def _wrong(self, sentence: str, correct: str = "environment") -> EnvironmentDataError:
        return EnvironmentDataError(
            f"{self._where()}: {sentence}. Correct the {correct}; `rllib check-env` tries it "
            "without training."
        )


def require_environment(env: Any, name: str) -> None:
    """Raise EnvironmentDataError for an object that is not an environment of Gymnasium."""
    if not isinstance(env, gym.Env):
        raise EnvironmentDataError(f"{name} made {env!r:.200}, {_advice(env)}")


def _advice(env: Any) -> str:
    """Describe an object that is not an environment of Gymnasium, with advice."""
    if isinstance(env, gym.vector.VectorEnv):
        return (
            "several environments in one: return one of them, or set gym_env_vectorize_mode: "
            "vector_entry_point for a function that takes num_envs."
        )
    # Of PettingZoo, and of RLlib itself.
    if hasattr(env, "possible_agents"):
        return (
            "a multi-agent environment; DreamerV3 trains a single agent. Wrap it in a "
            "gymnasium.Env that plays the other agents."
        )
    return (
        "which is not a gymnasium.Env. Environments of the former package gym need "
        "gymnasium.make('GymV21Environment-v0') of shimmy."
    )
