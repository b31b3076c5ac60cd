"""Exported policy: state, random numbers, ``__call__``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .described import damage_reported, read_described
from .leaves import chosen_leaf, latent_noise
from .observations import Observations
from .runners import Run, open_model
from .state import State, checked_state

MODES = "sample", "mode"


def load(
    directory: str | Path, *, format: str | None = None, mode: str | None = None, seed: int = 0
) -> "ExportedPolicy":
    """Load an exported policy.

    Args:
        directory: The folder that ``rllib export`` wrote.
        format: Which of its models to run; None for the first.
        mode: "sample" to sample actions, "mode" for the most likely ones; None for the
            ``evaluation_action`` of training.
        seed: Seed of all samples.

    Returns:
        The policy.

    Raises:
        ValueError: If the folder is not an exported policy, is damaged, or lacks the format.
        ImportError: If the runtime of the model is not installed; names the package to install.
    """
    path = Path(directory).expanduser()
    described = read_described(path)
    model = open_model(path, described, format)
    if mode:
        _check_mode(mode)
    with damage_reported(path):
        policy = ExportedPolicy(described, model.run, mode=mode)
        policy.check_fit(model.inputs)
    policy.reset(seed)
    return policy


def _check_mode(mode: Any) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be 'sample' or 'mode', not {mode!r}.")


class ExportedPolicy:
    """Acts in one environment, or in N of them at once.

    Attributes:
        mode: "sample" or "mode".
    """

    _state: State | None

    def __init__(
        self, described: Mapping[str, Any], run: Run, *, mode: str | None = None, seed: int = 0
    ):
        """Take the content of ``policy.json``, and the function that runs one step."""
        self.mode = mode or str(described["mode"])
        _check_mode(self.mode)
        self._sizes: Mapping[str, int] = described["state"]
        self._space = described["action_space"]
        self._actions = [chosen_leaf(leaf) for leaf in described["actions"]]
        self._observations = Observations(described)
        self._run = run
        self.reset(seed)

    def check_fit(self, inputs: Mapping[str, tuple[int, ...]]) -> None:
        """Check that descriptions of observations, state, actions and the model fit together.

        Args:
            inputs: Shape of each input of the model, without the axis of environments.

        Raises:
            Exception: If they do not; of any type if the description makes no sense.
        """
        state, begins = self._before(0, None)
        found = self._model_inputs(self._observations.of_no_environment(), state, begins, self._rng)
        shapes = {name: x.shape[1:] for name, x in found.items()}
        for name in sorted({*shapes, *inputs}):
            if shapes.get(name) != inputs.get(name):
                raise ValueError(
                    f"the shape of {name!r} is {shapes.get(name)}, but {inputs.get(name)} in the "
                    "model"
                )
        size = sum(leaf.size for leaf in self._actions)
        if size != self._sizes["action"]:
            raise ValueError(f"its actions have {size} elements, not {self._sizes['action']}")
        _nest(self._space, iter(self._decode(np.zeros((1, size), np.float32))))

    @property
    def state(self) -> State | None:
        """The recurrent state; None at the start of episodes. It can be copied and set again.

        Raises:
            TypeError: If the value to set is not a state.
            ValueError: If it belongs to another policy, or is not finite.
        """
        return self._state

    @state.setter
    def state(self, state: Any) -> None:
        self._state = None if state is None else checked_state(state, self._sizes)

    def reset(self, seed: int | np.random.SeedSequence | None = None) -> None:
        """Begin episodes in all environments.

        Args:
            seed: Restarts the random numbers; None continues them.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._state = None

    def __call__(self, observation: Any, is_first: np.ndarray | None = None) -> Any:
        """Choose actions, and update the state.

        Args:
            observation: An observation of one environment; or of N, as a vector environment
                returns it, arrays ``[N, ...]`` nested like the space. Keys that the space does not
                have are ignored, as in training.
            is_first: Where an episode begins, bool ``[N]``; None: only after :meth:`reset`.

        Returns:
            The action of one environment, or those of N as a vector environment takes them, arrays
            ``[N, ...]``.

        Raises:
            ValueError: If the observation or ``is_first`` has the wrong shape, or the observation
                contains NaN, infinity, a class that does not exist, or pixels that are not uint8;
                or if the action is NaN or infinite.
        """
        state, single = self._observe(observation, is_first, self._rng)
        values = self._decode(state.action)
        self._state = state
        return _nest(self._space, iter([x[0] for x in values] if single else values))

    def _observe(
        self, observation: Any, is_first: np.ndarray | None, rng: np.random.Generator
    ) -> tuple[State, bool]:
        """Return the new state, and whether observations are of one environment."""
        columns, single = self._observations.encode(observation)
        n = len(next(iter(columns.values())))
        state, begins = self._before(n, is_first)
        out = self._run(self._model_inputs(columns, state, begins, rng))
        return State(out["next_h"], out["next_index"], out[self.mode]), single

    def _before(self, n: int, is_first: np.ndarray | None) -> tuple[State, np.ndarray]:
        """Return the state before N observations, and which of them begin an episode."""
        state, begins = self._state, np.zeros(n, bool)
        if is_first is not None:
            # First: a state of many environments takes much memory.
            given = np.asarray(is_first, bool)
            if given.shape != (n,):
                raise ValueError(f"is_first has the shape {given.shape} instead of {(n,)}.")
            begins |= given
        if state is None:
            begins[:] = True
            d, s, a = (self._sizes[name] for name in ("h", "index", "action"))
            state = State(
                np.zeros((n, d), np.float32), np.zeros((n, s), np.int32), np.zeros((n, a), "f4")
            )
        if len(state.h) != n:
            raise ValueError(
                f"The policy has acted in {len(state.h)} environments, but the observations are of "
                f"{n}: call reset() first."
            )
        return state, begins

    def _model_inputs(
        self,
        columns: dict[str, np.ndarray],
        state: State,
        begins: np.ndarray,
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Return all inputs of the model."""
        noise = self._noise(rng, len(begins))
        return {**columns, "is_first": begins, **state._asdict(), **noise}

    def _noise(self, rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
        """Draw the noise, in both modes and in a fixed order for reproducibility."""
        latent = latent_noise(rng, n, self._sizes["index"])
        parts = [part for leaf in self._actions for part in leaf.draw_noise(rng, n)]
        return {"latent_noise": latent, "action_noise": np.concatenate(parts, -1)}

    def _decode(self, vectors: np.ndarray) -> list[np.ndarray]:
        """Action vectors ``[N, A]`` -> values ``[N, ...]`` of all leaves of the action space."""
        if not np.isfinite(vectors).all():
            raise ValueError(
                "The policy chose an action that is NaN or infinite: its networks overflow for "
                "this observation. Use another checkpoint."
            )
        ends = np.cumsum([leaf.size for leaf in self._actions])[:-1]
        parts = np.split(vectors, ends, axis=-1)
        return [leaf.decode(part) for leaf, part in zip(self._actions, parts, strict=True)]


def _nest(space: Mapping[str, Any], values: Iterator[Any]) -> Any:
    """Nest the values of all leaves like the space in ``policy.json``."""
    if space["type"] == "Dict":
        return {key: _nest(child, values) for key, child in space["spaces"]}
    if space["type"] == "Tuple":
        return tuple(_nest(child, values) for child in space["spaces"])
    return next(values)
