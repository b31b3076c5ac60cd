"""The networks as an RLModule, with weights, states and checkpoints."""

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.util.debug import log_once

from rllib_dreamerv3.agent.networks.model import (
    DreamerModel,
    PolicyModel,
    Weights,
    get_weights,
    set_weights,
)
from rllib_dreamerv3.agent.networks.policy import Policy, PolicyState
from rllib_dreamerv3.checkpoints.files import ARRAYS_FILE
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.plugin.checkpoints.components import ArrayFiles
from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation
from rllib_dreamerv3.spaces.codecs import make_codecs
from rllib_dreamerv3.spaces.nesting import flatten, leaves

# RLlib creates an object in each RLModule that it reports as deprecated; suppress that warning.
log_once("RLModule(config=[RLModuleConfig object])")

_IS_FIRST = "is_first"
_HOW_TO_ACT = (
    "batch observations as [B, 1, ...], begin each episode with get_initial_state() batched as "
    "[B, ...], and continue with the 'state_out' of the previous step (docs/migrating.md#acting)."
)


class DreamerV3RLModule(RLModule):
    """Wraps :class:`DreamerModel`, or only its acting part if ``inference_only``.

    ``model_config`` has the fields of :class:`ModelSettings` under ``"settings"``, and
    ``"image_size"``, ``"action_mask_key"``, ``"normalize_actions"``, ``"clip_actions"``,
    ``"evaluation_action"`` and ``"seed"``.
    The forward methods are for users' inference loops: they take observations ``[B, 1, ...]`` and
    a state, and return environment actions ``[B, 1, ...]`` and the next state. Env runners call the
    policy directly, training calls the trainer.
    """

    framework = "tf2"

    def setup(self) -> None:
        """Build codecs and networks from spaces and ``model_config``.

        Raises:
            SpaceError: If a space is not supported.
        """
        self.settings = ModelSettings(**self.model_config["settings"])
        self.observations, self.actions = make_codecs(
            self.observation_space,
            self.action_space,
            image_size=self.model_config["image_size"],
            cnn=self.settings.cnn,
            mask_key=self.model_config["action_mask_key"],
            # Modules saved by earlier versions lack these two.
            normalize_actions=self.model_config.get("normalize_actions", True),
            clip_actions=self.model_config.get("clip_actions", False),
        )
        create = PolicyModel.create if self.inference_only else DreamerModel
        self.model: DreamerModel | PolicyModel = create(
            self.observations.layout, self.actions.layout, self.settings, self.model_config["seed"]
        )
        self._rng = np.random.default_rng(self.model_config["seed"])

    @property
    def policy(self) -> Policy:
        return self.model.policy

    def share_networks_of(self, other: "DreamerV3RLModule") -> None:
        """Replace the networks by those of a complete module, instead of copying its weights."""
        self.model = other.model.acting

    def to(self, device: Any) -> "DreamerV3RLModule":
        """Do nothing, as TensorFlow places operations. RLlib calls this on every module."""
        del device
        return self

    def get_initial_state(self) -> dict[str, np.ndarray]:
        """Return the state of one environment before its episode, without batch axis."""
        state = self.policy.initial_state(1)
        return {key: x[0] for key, x in state._asdict().items()} | {_IS_FIRST: np.asarray(True)}

    def _forward(self, batch: dict[str, Any], *, mode: bool, **kwargs: Any) -> dict[str, Any]:
        observation, state, is_first = self._read(batch)
        next_state = self.policy.act(
            self.observations.encode(observation),
            is_first,
            PolicyState(**state),
            self.policy.draw_noise(self._rng, len(is_first)),
            mode=mode,
        )
        action = self.actions.decode(next_state.action)
        return {
            Columns.ACTIONS: _map_leaves(lambda x: x[:, None], action),
            Columns.STATE_OUT: next_state._asdict() | {_IS_FIRST: np.zeros_like(is_first)},
        }

    def _read(self, batch: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
        """Return observations ``[B, ...]``, states, and where episodes begin ``[B]``.

        Raises:
            ValueError: If one of them is missing from the batch, or has another shape.
        """
        start = self.get_initial_state()
        if Columns.OBS not in batch:
            raise ValueError(f"The batch has no {Columns.OBS!r}: {_HOW_TO_ACT}")
        given = batch.get(Columns.STATE_IN)
        if not isinstance(given, Mapping) or set(given) != set(start):
            raise ValueError(
                f"The batch needs {Columns.STATE_IN!r}, the state that DreamerV3 acts from, with "
                f"the keys {', '.join(start)}: {_HOW_TO_ACT}"
            )
        state = {key: np.asarray(x) for key, x in given.items()}
        observation = _map_leaves(np.asarray, batch[Columns.OBS])
        size = {len(x) if x.ndim else 0 for x in state.values()}
        for name, x in state.items():
            if x.shape[1:] != start[name].shape or len(size) > 1:
                raise ValueError(
                    f"{Columns.STATE_IN!r} has {name!r} of shape {x.shape} instead of "
                    f"{('B', *start[name].shape)}: {_HOW_TO_ACT}".replace("'B'", "B")
                )
        for (path, space), x in zip(
            leaves(self.observation_space, "observation space"),
            flatten(self.observation_space, observation),
            strict=True,
        ):
            needed = (*size, 1, *(space.shape or ()))
            if x.shape != needed:
                raise ValueError(
                    f"{Columns.OBS!r}{f' at {path!r}' if path else ''} has the shape {x.shape} "
                    f"instead of {needed}, [B, 1, ...] for B environments: {_HOW_TO_ACT}"
                )
        is_first = state.pop(_IS_FIRST).astype(bool)
        return _map_leaves(lambda x: x[:, 0], observation), state, is_first

    def _forward_inference(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return self._forward(batch, mode=self.model_config["evaluation_action"] == "mode")

    def _forward_exploration(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return self._forward(batch, mode=False)

    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        raise TypeError(
            "DreamerV3 has no separate forward pass for training: world model, imagination and "
            "losses are one compiled step, rllib_dreamerv3.agent.trainer.Trainer.update()."
        )

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        inference_only: bool = False,
        **kwargs: Any,
    ) -> Weights:
        """Return copies of the parameters by name; only the acting part if ``inference_only``."""
        acting_only = inference_only and isinstance(self.model, DreamerModel)
        return get_weights(self.model.acting if acting_only else self.model)

    def set_state(self, state: Weights) -> None:
        """Assign parameters by name.

        Raises:
            ValueError: If the state belongs to another model. Nothing changes then.
        """
        set_weights(self.model, state)

    def save_to_path(
        self,
        path: Any = None,
        *,
        state: Weights | None = None,
        filesystem: Any = None,
        use_msgpack: bool = False,
    ) -> str:
        """Save the parameters in a plain file, with RLlib's description of the module."""
        path = path or Path(tempfile.mkdtemp())
        location = CheckpointLocation.of(path, filesystem)
        weights = self._files()
        with location.writing(weights.own_files) as directory:
            # RLlib would pickle the parameters.
            super().save_to_path(str(directory), state={"arrays": ARRAYS_FILE})
            weights.write(directory, state)
        return str(location)

    def restore_from_path(
        self, path: Any, *, component: str | None = None, filesystem: Any = None, **kwargs: Any
    ) -> None:
        """Restore the parameters.

        Raises:
            CheckpointError: If the file is missing, damaged or of another model.
        """
        self._files().restore_from_path(path, filesystem=filesystem)

    def _files(self) -> ArrayFiles:
        return ArrayFiles(lambda: get_weights(self.model), self.set_state)


def _map_leaves(function: Any, nested: Any) -> Any:
    if isinstance(nested, dict):
        return {key: _map_leaves(function, x) for key, x in nested.items()}
    if isinstance(nested, tuple):
        return tuple(_map_leaves(function, x) for x in nested)
    return function(nested)
