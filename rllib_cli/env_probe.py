"""Tests an environment before training: its spaces, and what random steps return."""

import re
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from gymnasium.vector.vector_env import VectorEnv

from rllib_dreamerv3.envs.checked import user_frames
from rllib_dreamerv3.envs.returned_values import (
    wrong_outcome,
    wrong_reset,
    wrong_step,
    wrong_value,
)
from rllib_dreamerv3.errors import EnvironmentDataError, SpaceError
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec, make_codecs
from rllib_dreamerv3.spaces.layout import Image
from rllib_dreamerv3.spaces.nesting import flatten, leaves, paths, place, unflatten

STEPS = 200
# An image whose values cover less than this share of its bounds is probably declared wrongly.
_MIN_IMAGE_RANGE = 0.02
# A number that varies by less contributes at most a thousandth to the decoder's loss.
_MIN_VECTOR_RANGE = 0.05


class FirstOf(gym.Env):
    """The first environment of a vector environment, for benchmarks that are only vectors."""

    def __init__(self, vector: VectorEnv):
        self._vector = vector
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict]:
        observations, _ = self._vector.reset(seed=seed, options=options)
        return self._first(observations), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        actions = concatenate(self.action_space, [action], create_empty_array(self.action_space, 1))
        observations, rewards, terminated, truncated, _ = self._vector.step(actions)
        first = self._first(observations)
        return first, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def _first(self, observations: Any) -> Any:
        return next(iter(iterate(self._vector.observation_space, observations)))

    def close(self) -> None:
        self._vector.close()


@dataclass
class Findings:
    """Findings about an environment.

    Attributes:
        errors: Message -> place of the first occurrence, and number of occurrences. Training would
            fail, or learn from wrong data.
        notes: Messages about what looks unusual.
        seen: Column -> minimum and maximum of each element.
        rewards: Rewards of all steps.
        returns: Returns of the episodes that ended.
        seconds: Time spent in ``reset()`` and ``step()``.
        converted: Whether training converts observations that Gymnasium's checker rejects.
    """

    errors: dict[str, tuple[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seen: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    rewards: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    seconds: float = 0.0
    converted: bool = False

    def add(self, message: str, where: str = "") -> None:
        """Count an error; keep the place of its first occurrence."""
        first, times = self.errors.get(message, (where, 0))
        self.errors[message] = (first, times + 1)

    def add_exception(self, call: str, error: Exception) -> None:
        """Count an exception, with the line of the user's code that raised it."""
        self.add(f"{call} failed: {type(error).__name__}: {error} {place_of(error)}")

    def sentences(self) -> list[str]:
        """One sentence per error."""
        found = []
        for message, (first, times) in self.errors.items():
            where = f" ({first}{f', {times} times' if times > 1 else ''})" if first else ""
            found.append(f"{message}{where}.")
        return found


def place_of(error: BaseException) -> str:
    """``(file, line 3)``: the last line of the user's own code in a traceback."""
    last = (user_frames(error) or traceback.extract_tb(error.__traceback__))[-1:]
    return f"({last[0].filename}, line {last[0].lineno})" if last else ""


def read_spaces(
    env: gym.Env, findings: Findings, **options: Any
) -> tuple[ObservationCodec, ActionCodec] | None:
    """Build codecs of the spaces; return None and add an error if they are not supported.

    Args:
        env: The environment.
        findings: Takes the errors.
        **options: See :func:`make_codecs`.
    """
    for name in ("observation_space", "action_space"):
        space = getattr(env, name, None)
        if not isinstance(space, gym.Space):
            findings.add(f"{name} must be a space of Gymnasium, not {space!r}")
    if findings.errors:
        return None
    try:
        return make_codecs(env.observation_space, env.action_space, **options)
    except SpaceError as error:
        findings.add(str(error).rstrip("."))
        return None


def compare_ranges(codec: ObservationCodec, findings: Findings) -> None:
    """Compare observed values with the declared bounds."""
    spaces_by_place = leaves(codec.observed, "observation space")
    for leaf, (_, space) in zip(codec.layout.leaves, spaces_by_place, strict=True):
        if leaf.key not in findings.seen or not isinstance(space, gym.spaces.Box):
            continue
        lowest, highest = findings.seen[leaf.key]
        seen = float(lowest.min()), float(highest.max())
        low, high = float(space.low.min()), float(space.high.max())
        bounded = bool(np.isfinite([low, high]).all())
        # Bounds are float32 where values may be float64.
        below = lowest < space.low - 1e-6 * np.maximum(1.0, np.abs(space.low))
        above = highest > space.high + 1e-6 * np.maximum(1.0, np.abs(space.high))
        if (below | above).any():
            where = np.unravel_index(np.argmax(below | above), space.shape)
            element = f"element {', '.join(map(str, where))} of " if space.shape else ""
            bounds = format_range((float(space.low[where]), float(space.high[where])))
            values = format_range((float(lowest[where]), float(highest[where])))
            findings.add(
                f"{element}{leaf.key} is declared {bounds}, but has values of {values}: widen the "
                "bounds of its Box, or clip"
            )
        elif not isinstance(leaf, Image):
            _note_small_numbers(leaf.key, highest - lowest, findings)
        elif not bounded and (seen[0] < 0 or seen[1] > 1):
            findings.add(
                f"{leaf.key} is an image without bounds, assumed to be in [0, 1], but has values "
                f"of {format_range(seen)}: declare the bounds of its Box"
            )
        elif bounded and seen[1] - seen[0] < _MIN_IMAGE_RANGE * (high - low):
            findings.notes.append(
                f"{leaf.key} is declared {format_range((low, high))}, but only has values of "
                f"{format_range(seen)}: the model would see an almost uniform image. Check the "
                "bounds."
            )
    if findings.rewards and not any(findings.rewards):
        findings.notes.append("Every reward was 0: random actions give nothing to learn from.")


def _note_small_numbers(name: str, ranges: np.ndarray, findings: Findings) -> None:
    """Note elements that vary, but too little for the decoder's loss."""
    small = np.argwhere((ranges > 0) & (ranges < _MIN_VECTOR_RANGE))
    if not len(small):
        return
    elements = ", ".join("[" + ", ".join(map(str, where)) + "]" for where in small[:4])
    more = ", ..." if len(small) > 4 else ""
    greatest = max(float(ranges[tuple(where)]) for where in small)
    findings.notes.append(
        f"{name}{elements}{more} varied by {greatest:.2g} or less, which the world model's squared "
        "errors hardly show: it learns such numbers late. If they matter, scale them to about -1 "
        "to 1, for example with gymnasium.wrappers.RescaleObservation."
    )


def format_range(values: Sequence[float]) -> str:
    """Format the range of some numbers as ``-1 to 3``."""
    return f"{min(values):.6g} to {max(values):.6g}"


class _AsInTraining(gym.ObservationWrapper):
    """Converts observations as vector environments do, so that the checker judges as training does.

    Values are clipped to their bounds, which :func:`compare_ranges` checks with a tolerance.
    """

    def observation(self, observation: Any) -> Any:
        space = self.observation_space
        if next(wrong_value(space, observation), None):
            return observation
        batch = concatenate(space, [observation], create_empty_array(space, 1))
        values = flatten(space, next(iter(iterate(batch_space(space, 1), batch))))
        return unflatten(space, map(_clipped, (part for _, part in paths(space)), values))


def _clipped(space: gym.Space, value: Any) -> Any:
    return np.clip(value, space.low, space.high) if isinstance(space, gym.spaces.Box) else value


def run_gymnasiums_checker(env: gym.Env, findings: Findings) -> None:
    """Add the findings of Gymnasium's checker; no errors if there are errors already."""
    from gymnasium.utils.env_checker import check_env

    if findings.converted:
        env = _AsInTraining(env)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check_env(env, skip_render_check=True, skip_close_check=True)
        except AssertionError as error:
            text = str(error) or f"an assertion without a message {place_of(error)}"
            message = f"Gymnasium's checker: {text.rstrip('.')}"
            # Learning does not need deterministic environments.
            if "determin" in text or "seed" in text:
                findings.notes.append(f"{message}.")
            elif not findings.errors:
                findings.add(message)
        except Exception as error:
            if not findings.errors:
                findings.add_exception("Gymnasium's checker", error)
    if findings.errors:
        return
    for warning in caught:
        text = re.sub(r"\x1b\[\d+m|^WARN: ", "", str(warning.message)).removeprefix("WARN: ")
        if warning.category is UserWarning and "unwrapped version" not in text:
            note = f"Gymnasium's checker: {text.rstrip('.')}."
            if note not in findings.notes:
                findings.notes.append(note)


def take_random_steps(
    env: gym.Env,
    codecs: tuple[ObservationCodec, ActionCodec],
    findings: Findings,
    steps: int = STEPS,
) -> None:
    """Take random actions and add errors in the returned values; stop at an exception."""
    observations, actions = codecs
    rng = np.random.default_rng(0)
    observation: Any = None
    ret, needs_reset = 0.0, True
    for step in range(steps):
        where = f"first at step {step}"
        call = "reset()" if needs_reset else "step()"
        started = time.perf_counter()
        try:
            if needs_reset:
                returned = env.reset(seed=0 if step == 0 else None)
                findings.seconds += time.perf_counter() - started
                if wrong := wrong_reset(returned):
                    findings.add(wrong)
                    return
                observation, ret, needs_reset = returned[0], 0.0, False
                if not _store(observations, observation, False, findings, "after reset()"):
                    return
            call = f"step() {step}"
            action = _random_action(observations, actions, observation, rng)
            started = time.perf_counter()
            returned = env.step(action)
            findings.seconds += time.perf_counter() - started
        except Exception as error:
            findings.add_exception(call, error)
            return
        if wrong := wrong_step(returned):
            findings.add(wrong)
            return
        observation, reward, terminated, truncated, info = returned
        for wrong in wrong_outcome(reward, terminated, truncated, info):
            findings.add(wrong, where)
        ended = bool(np.any(terminated)) or bool(np.any(truncated))
        if not _store(observations, observation, ended, findings, where):
            return
        if isinstance(reward, int | float | np.number):
            findings.rewards.append(float(reward))
            ret += float(reward)
        if ended:
            findings.returns.append(ret)
            needs_reset = True


def _store(
    codec: ObservationCodec, observation: Any, ended: bool, findings: Findings, where: str
) -> bool:
    """Encode an observation as an env runner does; return whether sampling can continue."""
    wrong = list(wrong_value(codec.space, observation))
    for sentence in wrong:
        findings.add(sentence, where)
    if wrong:
        return True
    space = codec.space
    _note_conversions(space, observation, findings)
    batch = concatenate(space, [observation], create_empty_array(space, 1))
    parts = flatten(codec.observed, observation)
    for leaf, part in zip(codec.layout.leaves, parts, strict=True):
        part = np.asarray(part)
        low, high = findings.seen.get(leaf.key, (part, part))
        findings.seen[leaf.key] = np.minimum(low, part), np.maximum(high, part)
    try:
        codec.encode(batch, np.array([ended]))
    except EnvironmentDataError as error:
        findings.add(str(error).rstrip("."), where)
        # An invalid mask leaves no action to take.
        return codec.observed is codec.space
    return True


def _note_conversions(space: gym.Space, observation: Any, findings: Findings) -> None:
    """Note dtypes that training converts, although the space does not contain them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of lists.
        findings.converted |= not space.contains(observation)
    for (path, part), value in zip(paths(space), flatten(space, observation), strict=True):
        dtype = getattr(value, "dtype", part.dtype)
        if not np.can_cast(dtype, part.dtype):
            note = (
                f"{place('observation', path, begins=True)} has the dtype {dtype}, and its space "
                f"declares {part.dtype}: training converts it. Convert it with "
                f".astype(np.{part.dtype}), or declare its dtype."
            )
            if note not in findings.notes:
                findings.notes.append(note)


def _random_action(
    observations: ObservationCodec, actions: ActionCodec, observation: Any, rng: np.random.Generator
) -> Any:
    mask = None
    space = observations.space
    if actions.layout.masked and not list(wrong_value(space, observation)):
        batch = concatenate(space, [observation], create_empty_array(space, 1))
        mask = observations.encode(batch)[ACTION_MASK]
    batch = actions.decode(actions.sample(rng, 1, mask))
    return next(iter(iterate(batch_space(actions.space, 1), batch)))
