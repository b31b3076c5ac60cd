"""Saving and restoring of the algorithm: atomic, verified before reading, in plain files.

A checkpoint is RLlib's directory, with these parts in plain files instead of pickles (see
``checkpoints/files.py`` and ``plugin/checkpoints/components.py``): networks, optimizers with
normalisers, replay, counters, and the policy. ``manifest.json`` lists all files.
"""

import contextlib
import logging
import pickle
import tempfile
import uuid
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import (
    COMPONENT_LEARNER,
    COMPONENT_LEARNER_GROUP,
    COMPONENT_RL_MODULE,
    DEFAULT_MODULE_ID,
)
from ray.rllib.utils.metrics import WEIGHTS_SEQ_NO

from rllib_dreamerv3.agent.networks.model import (
    Weights,
    check_weights,
    get_weights,
    parts_of,
    set_weights,
    take_weights,
)
from rllib_dreamerv3.agent.networks.saved import read_weights, require_world_model
from rllib_dreamerv3.checkpoints import manifest, tensors
from rllib_dreamerv3.checkpoints.directory import recover
from rllib_dreamerv3.checkpoints.files import NETWORKS_FILE, OPTIMIZER_FILE, REPLAY_DIRECTORY
from rllib_dreamerv3.checkpoints.named import is_name
from rllib_dreamerv3.checkpoints.runs import find_checkpoint, newest_complete
from rllib_dreamerv3.errors import CheckpointError, LearnerFailedError, describe
from rllib_dreamerv3.plugin.checkpoints.components import (
    COMPONENT_COUNTERS,
    CounterFiles,
    ReplayFiles,
)
from rllib_dreamerv3.plugin.checkpoints.location import CheckpointLocation
from rllib_dreamerv3.plugin.config.config import DreamerV3Config
from rllib_dreamerv3.plugin.learners.group import ask_learner
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.policy_json import write_policy
from rllib_dreamerv3.plugin.sampling.sampler import Sampler
from rllib_dreamerv3.plugin.tune.trial import Trial
from rllib_dreamerv3.replay import checkpoint as replay_checkpoint
from rllib_dreamerv3.replay.buffer import ReplayBuffer

logger = logging.getLogger(__name__)

_will_be_restored = ContextVar("will_be_restored", default=False)


class CheckpointedAlgorithm(Algorithm):
    """An algorithm whose checkpoints are complete or absent.

    Subclasses provide the attributes and the counters.

    Attributes:
        replay_buffer: The sampled records.
        sampler: Collects records from env runners.
        trial: Location of the trial's results.
        started: Whether the run has taken the networks and the data that it starts with, or a
            checkpoint was restored. These need not exist any more then.
        started_trained: Whether the run started with trained networks and an empty replay. The
            policy then fills replay, instead of random actions.
        generation: Number of restores, and of saves with ``exact_resume``. Environments and actions
            are seeded with it.
    """

    config: DreamerV3Config
    replay_buffer: ReplayBuffer
    generation: int
    sampler: Sampler
    trial: Trial
    started = started_trained = False

    @property
    def may_be_restored(self) -> bool:
        """Whether a checkpoint may be restored before the first iteration.

        In a trial of Tune, which restores it after the algorithm was created, and in
        :meth:`from_checkpoint`.
        """
        return self.trial.location is not None or _will_be_restored.get()

    @abstractmethod
    def get_counters(self) -> dict[str, Any]:
        """Return all state outside of networks, optimizers, replay and RLlib, as JSON."""

    @abstractmethod
    def set_counters(self, counters: Mapping[str, Any]) -> None:
        """Restore the result of :meth:`get_counters`."""

    @property
    def last_checkpoint(self) -> str | None:
        """The newest valid checkpoint of this run; None if there is none on this machine."""
        with contextlib.suppress(CheckpointError):
            if self._last_saved is not None:
                manifest.verify(self._last_saved)
                return str(self._last_saved)
        # Tune moves checkpoints to the trial's directory.
        location = self.trial.location
        if location is None or location.filesystem is not None:
            return None
        saved, _ = newest_complete(Path(location.path))
        return str(saved.path) if saved else None

    _last_saved: Path | None = None

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """Return RLlib's components, the counters and the replay buffer.

        Replay is last: unlike the others it cannot be rolled back if a later part is rejected.
        """
        return [
            *super().get_checkpointable_components(),
            (COMPONENT_COUNTERS, CounterFiles(self.get_counters, self.set_counters)),
            (REPLAY_DIRECTORY, ReplayFiles(self.replay_buffer)),
        ]

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return RLlib's state and the counters. Only checkpoints contain replay."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(REPLAY_DIRECTORY, components, not_components):
            state[REPLAY_DIRECTORY] = None
        if self._check_component(COMPONENT_COUNTERS, components, not_components):
            state[COMPONENT_COUNTERS] = self.get_counters()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state)
        if COMPONENT_COUNTERS in state:
            self.set_counters(state[COMPONENT_COUNTERS])

    def set_weights(self, weights: Mapping[str, Any]) -> None:
        """Set the networks by module, as ``get_weights()`` returns them.

        Raises:
            ValueError: If they belong to another model. Nothing changes then.
        """
        if set(weights) != {DEFAULT_MODULE_ID}:
            raise ValueError(
                f"Weights must have the one key {DEFAULT_MODULE_ID!r}, not {[*weights]}."
            )
        # RLlib's own calls a method that its env runners no longer have.
        learner = {COMPONENT_LEARNER: {COMPONENT_RL_MODULE: weights}}
        self.set_state({COMPONENT_LEARNER_GROUP: learner})
        self._resend_weights()

    def save_to_path(
        self,
        path: Any = None,
        *,
        state: Any = None,
        filesystem: Any = None,
        use_msgpack: bool = False,
    ) -> str:
        """Save networks, optimizers, normalisers, counters and replay.

        Replace an older checkpoint at the same path atomically, once the new one is complete.
        Files that others put into it are kept.

        Args:
            path: Directory, with or without ``~``, or a URI; None for a new temporary directory.
            state: Saves only this state; by default everything.
            filesystem: The PyArrow or fsspec file system of ``path``.
            use_msgpack: Whether RLlib's own parts are msgpack instead of pickle.

        Returns:
            The absolute path, or the path within ``filesystem``.

        Raises:
            CheckpointError: If the networks are not finite, or the directory holds something other
                than a checkpoint.
            OSError: If writing failed. The previous content is unchanged.
        """
        if path is None:
            path = Path(tempfile.gettempdir()) / uuid.uuid4().hex
        location = CheckpointLocation.of(path, filesystem)
        if self.config.exact_resume:
            self._begin_generation(self.generation + 1)
        with location.writing(manifest.files_of_checkpoint) as directory:
            super().save_to_path(str(directory), state=state, use_msgpack=use_msgpack)
            write_policy(directory, self.config, *ask_learner(self.learner_group, _spaces_of))
            counters = self.get_counters()
            manifest.write(
                directory,
                env_steps=counters["env_steps"],
                updates=self._updates,
                iteration=self.training_iteration,
            )
        if location.filesystem is None:
            self._last_saved = Path(location.path)
        return str(location)

    def restore_from_path(
        self, path: Any, *, component: str | None = None, filesystem: Any = None, **kwargs: Any
    ) -> None:
        """Restore networks, optimizers, normalisers, counters and replay.

        Verify all files against the manifest before reading any. RLlib's own parts are then
        unpickled, which can run code: restore only trusted checkpoints.

        Args:
            path: As for :meth:`save_to_path`, or a Ray ``Checkpoint``.
            component: Restores only this part, from its own directory.
            filesystem: The PyArrow or fsspec file system of ``path``.
            **kwargs: RLlib's.

        Raises:
            CheckpointError: If the directory is not a checkpoint of this algorithm, is damaged, or
                belongs to another model or environment. The algorithm is unchanged then, unless
                the message says that replay is empty: its files could not be read to the end.
            LearnerFailedError: If learners die meanwhile and cannot be restarted.
        """
        location = CheckpointLocation.of(path, filesystem)
        with location.reading() as directory:
            if component is not None:
                _verify_around(directory)
                super().restore_from_path(str(directory), component=component, **kwargs)
            else:
                files, generation = manifest.verify(directory).files, self.generation
                _require_complete(directory)
                replay_checkpoint.check(self.replay_buffer, directory / REPLAY_DIRECTORY)
                with self._unchanged_on_error(location):
                    _require_unpickling(directory, files)
                    self._require_fit(directory)
                    super().restore_from_path(str(directory), **kwargs)
                if location.filesystem is None:
                    self._last_saved = directory
                # A new generation, so that a resumed run does not repeat the episodes it has seen,
                # and several restores in one process (rewinds) do not repeat each other's.
                exact = self.config.exact_resume
                self._begin_generation(
                    self.generation if exact else max(self.generation, generation) + 1
                )
                self.started = True
        self._resend_weights()

    def start_from(self, path: Any, parts: Collection[str] = ()) -> None:
        """Restore a checkpoint, or take only networks from it.

        Only networks are taken if ``parts`` is given, from a shared policy (``rllib pretrained
        pack``), which has nothing else to restore, and from a name, whose other files are not
        trusted. Optimizers, normalisers, counters and replay then start as in a new run, and
        nothing is unpickled.

        Args:
            path: As for :meth:`restore_from_path`; or ``pretrained:NAME`` or ``hf://owner/name``;
                or the local directory of a trial or an experiment, for its newest valid checkpoint.
                Newer ones that are damaged are logged.
            parts: Names of networks to take as far as their shapes fit. Parameters that do not fit
                keep their initial values and are logged. Empty for all networks.

        Raises:
            CheckpointError: As for :meth:`restore_from_path`; if a directory has no checkpoint.
            LearnerFailedError: As for :meth:`restore_from_path`.
        """
        location = _found(path)
        directory = Path(location.path)
        if parts:
            with location.reading() as read:
                self._take_parts(read, parts)
        elif is_name(path) or (location.filesystem is None and manifest.is_shared(directory)):
            self._take_networks(directory)
        else:
            self.restore_from_path(location.path, filesystem=location.filesystem)

    def _take_parts(self, directory: Path, parts: Collection[str]) -> None:
        weights = read_weights(directory)
        answers = self.learner_group.foreach_learner(
            lambda learner: take_weights(learner.trainer.model, weights, parts)
        )
        unchanged, *_ = [answer.get() for answer in answers]
        known = ask_learner(self.learner_group, lambda learner: parts_of(learner.trainer.model))
        taken = [part for part in parts if part in known]
        absent = ", ".join(part for part in parts if part not in known)
        if not taken:
            raise CheckpointError(
                f"start_parts: {absent}: this run has no such network. Set the options of the run "
                "that trained it."
            )
        # `rllib train` shows the warnings of trials.
        logger.warning(
            "Took %s from %s. %s%s",
            ", ".join(taken),
            directory,
            f"This run has no network {absent}. " if absent else "",
            f"These did not fit and keep their initial values: {', '.join(unchanged)}."
            if unchanged
            else "All arrays fit.",
        )
        fits = not any(name.startswith("actor/") for name in unchanged)
        self.started_trained = "actor" in parts and fits
        self._resend_weights()

    def _take_networks(self, directory: Path) -> None:
        require_world_model(directory)
        weights = read_weights(directory)
        try:
            self.learner_group.foreach_learner(
                lambda learner: set_weights(learner.trainer.model, weights)
            )
        except ValueError as error:
            raise CheckpointError(
                f"A run cannot start with the networks in {directory}. {error} It must have the "
                "same environment and the same model options."
            ) from error
        self.started_trained = True
        self._resend_weights()

    @classmethod
    def from_checkpoint(cls, path: Any, filesystem: Any = None, **kwargs: Any) -> Any:
        """Build the algorithm of a checkpoint, with its config and state.

        The config is unpickled, which can run code: use only trusted checkpoints.

        Raises:
            CheckpointError: If the directory is not a checkpoint of this algorithm, or is damaged.
        """
        with CheckpointLocation.of(path, filesystem).reading() as directory:
            _require_unpickling(directory, manifest.verify(directory).files)
            _require_complete(directory)
            token = _will_be_restored.set(True)
            try:
                return super().from_checkpoint(str(directory), **kwargs)
            finally:
                _will_be_restored.reset(token)

    @property
    def _updates(self) -> int:
        return ask_learner(self.learner_group, lambda learner: int(learner.trainer.updates))

    def _require_fit(self, directory: Path) -> None:
        """Raise ValueError or CheckpointError if the networks belong to another model."""
        weights = tensors.load(directory / NETWORKS_FILE)
        ask_learner(
            self.learner_group, lambda learner: check_weights(learner.trainer.model, weights)
        )
        tensors.load(directory / OPTIMIZER_FILE)

    @contextlib.contextmanager
    def _unchanged_on_error(self, location: CheckpointLocation) -> Iterator[None]:
        """Put networks, optimizers and counters back if restoring fails inside.

        Raises:
            CheckpointError: The one raised inside; or for any other error, with its message.
            LearnerFailedError: The one raised inside.
        """
        before = ask_learner(self.learner_group, _networks_and_trainer)
        counters = self.get_counters()
        try:
            yield
        except Exception as error:
            # First, since learners that have died raise another error.
            self.set_counters(counters)
            self.learner_group.foreach_learner(lambda learner: _put_back(learner, *before))
            if isinstance(error, CheckpointError | LearnerFailedError):
                raise
            raise CheckpointError(
                f"The checkpoint in {location} cannot be restored here. {_reason(error)}"
            ) from error

    def _begin_generation(self, generation: int) -> None:
        """End all running episodes; the next use the seeds of the given generation."""
        self.generation = generation
        self.env_runner.begin_generation(generation)
        if self.eval_env_runner is not None:
            self.eval_env_runner.begin_generation(generation)
        self._call_remote_env_runners("begin_generation", {"generation": generation})

    def _resend_weights(self, only: list[int] | None = None) -> None:
        """Send the learner's weights to all env runners, or only to some of those for training."""
        # Env runners ignore weights with a lower sequence number than their own, such as those of
        # an earlier checkpoint. Number 0 is always accepted.
        state = {COMPONENT_RL_MODULE: self._policy_weights(), WEIGHTS_SEQ_NO: 0}
        reference = ray.put(state)
        if not self.config.num_env_runners and self.learner_group.is_remote:
            self.env_runner.set_state(state)
        self._call_remote_env_runners("set_state", {"state": reference}, only)

    def _policy_weights(self) -> Any:
        """Return the learner's weights of the acting networks, as env runners' state."""
        state = self.learner_group.get_state(components="learner/rl_module", inference_only=True)
        return state[COMPONENT_LEARNER][COMPONENT_RL_MODULE]

    def _call_remote_env_runners(
        self, method: str, arguments: dict[str, Any], only: list[int] | None = None
    ) -> None:
        """Call env runners for training and evaluation, without waiting for slow ones."""
        self.sampler.call_remote(method, arguments, only)
        if self.eval_env_runner_group is not None and only is None:
            self.eval_env_runner_group.foreach_env_runner(
                method,
                kwargs=arguments,
                local_env_runner=False,
                timeout_seconds=self.config.evaluation_sample_timeout_s,
            )


def _found(path: Any) -> CheckpointLocation:
    """Return the location of a checkpoint, given as for :meth:`CheckpointedAlgorithm.start_from`.

    Raises:
        CheckpointError: If there is none.
    """
    if not is_name(path):
        location = CheckpointLocation.of(path)
        if location.filesystem is not None:
            return location
        path = location.path
        recover(Path(path))
    directory, problems = find_checkpoint(path)
    for problem in problems:
        logger.warning("%s", problem)
    return CheckpointLocation.of(directory)


def _reason(error: Exception) -> str:
    """Return why a checkpoint cannot be restored; of one that does not fit, what would fit."""
    advice = "It must come from the same environment and the same model options."
    if isinstance(error, ValueError):
        return f"{error} {advice}"
    return f"{describe(error)}. {advice}" if isinstance(error, KeyError) else describe(error)


def _spaces_of(learner: DreamerV3Learner) -> tuple[Any, Any]:
    module = learner.module[DEFAULT_MODULE_ID]
    return module.observation_space, module.action_space


def _networks_and_trainer(learner: DreamerV3Learner) -> tuple[Weights, dict[str, np.ndarray]]:
    return get_weights(learner.trainer.model), learner.trainer.get_state()


def _put_back(
    learner: DreamerV3Learner, weights: Weights, trainer_state: dict[str, np.ndarray]
) -> None:
    set_weights(learner.trainer.model, weights)
    learner.trainer.set_state(trainer_state)


def _require_complete(directory: Path) -> None:
    if manifest.is_shared(directory):
        raise CheckpointError(
            f"{directory} is a shared policy: it has networks, but no optimizers, counters or "
            "RLlib's parts. A new run can start with its networks: "
            "config.checkpointing(start_checkpoint=...), or --from-checkpoint of `rllib train`."
        )


def _require_unpickling(directory: Path, names: Iterable[str]) -> None:
    """Unpickle RLlib's files, to fail before anything is built or restored.

    Raises:
        CheckpointError: If one needs a module or a name that cannot be imported here.
    """
    for name in names:
        if not name.endswith(".pkl"):
            continue
        try:
            with open(directory / name, "rb") as file:
                pickle.load(file)
        except (ImportError, AttributeError) as error:
            raise CheckpointError(
                f"{directory / name} cannot be unpickled here: {error}. Either a module of yours "
                "is missing, or another version of this package or of Ray wrote the checkpoint: "
                "continue training with that version. `rllib evaluate`, `rllib export` and "
                "load_policy() read the checkpoint without this file."
            ) from error


def _verify_around(directory: Path) -> None:
    """Verify the files of a component, if the checkpoint that contains it can be found."""
    for parent in directory.parents[:4]:
        if manifest.is_checkpoint(parent):
            inside = directory.relative_to(parent).as_posix() + "/"
            files = manifest.read(parent).files
            manifest.verify(parent, only=[name for name in files if name.startswith(inside)])
            return
