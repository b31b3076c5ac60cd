"""The golden files, and our own update run as they were made: same parameters, batch and samples.

What is in the files, and under which names, says `tests/golden/README.md`. :func:`first_update` and
:func:`five_updates` give our numbers under the same names, so that comparing is one loop. Tests say
``import golden``; pytest has this folder on its path.
"""

import contextlib
import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf
from trainers import PARTS

from rllib_dreamerv3.agent import objectives
from rllib_dreamerv3.agent import trainer as trainer_module
from rllib_dreamerv3.agent.math import bounded_normal
from rllib_dreamerv3.agent.math.categorical import unimix
from rllib_dreamerv3.agent.networks import action_distribution, rssm
from rllib_dreamerv3.agent.networks.model import DreamerModel, set_weights
from rllib_dreamerv3.agent.optimizers import ADAM_EPSILONS
from rllib_dreamerv3.agent.trainer import Trainer
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import LATENT_H, LATENT_INDEX
from rllib_dreamerv3.spaces.layout import (
    ActionLayout,
    Categorical,
    ContinuousAction,
    DiscreteAction,
    Image,
    ObservationLayout,
    Vector,
)

FOLDER = Path(__file__).parent.parent / "golden"
CASES = sorted(path.stem for path in FOLDER.glob("*.npz"))

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Golden:
    """One golden file.

    Attributes:
        settings: Networks, options, layouts and counters that are set by hand.
        parameters: Before the first update, by the model's names.
        batch: Record columns ``[B, T, ...]``; with a context record ``[B, 1 + T, ...]``.
        noise: What replaces random numbers, by what is sampled.
        positions: Flat positions of the numbers kept of a large array, by its name.
        expected: The authors' numbers. Vectors of norms are taken apart: one for each variable.
    """

    settings: dict[str, Any]
    parameters: Arrays
    batch: Arrays
    noise: Arrays
    positions: Arrays
    expected: Arrays

    def kept(self, name: str, array: np.ndarray) -> np.ndarray:
        """Those numbers of an array that the file keeps under that name."""
        return np.ravel(array)[self.positions[name]] if name in self.positions else array


@functools.cache
def read(name: str) -> Golden:
    """Reads the file of that name."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    settings, variables = (json.loads(str(arrays[key])) for key in ("settings", "variables"))
    # Stored in half precision, which they were rounded to before anything was computed with them.
    arrays = {k: np.float32(v) if v.dtype == np.float16 else v for k, v in arrays.items()}
    expected = _below("expected/", arrays)
    positions = {}
    for variable, position in _below("index_of/", expected).items():
        positions |= {f"gradient/{variable}": position, f"after_5/{variable}": position}
    for column, position in _below("decoded_index/", expected).items():
        positions[f"decoded/{column}"] = position
    for key in [k for k in expected if k.startswith(("index_of/", "decoded_index/"))]:
        del expected[key]
    for norms, order in (
        ("gradient_norm", "trained"),
        ("after_5_norm", "all"),
        ("first_moment_norm", "trained"),
        ("second_moment_norm", "trained"),
    ):
        by_name = zip(variables[order], expected.pop(norms), strict=True)
        expected |= {f"{norms}/{variable}": norm for variable, norm in by_name}
    if settings["trainer_settings"]["replay_context"]:
        # What the update hands back for replay to store is the posterior states.
        expected |= {f"written_back/{key}": expected[key] for key in ("h", "index")}
    return Golden(
        settings=settings,
        parameters=_below("parameters/", arrays),
        batch=_below("batch/", arrays),
        noise=_below("noise/", arrays),
        positions=positions,
        expected=expected,
    )


def _below(prefix: str, arrays: Arrays) -> Arrays:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def make_trainer(golden: Golden, compute_dtype: str = "float32") -> Trainer:
    """A trainer as it was before the first update."""
    observations, actions = _layouts(golden)
    sizes = _model_settings(golden, compute_dtype)
    model = DreamerModel(observations, actions, sizes)
    assert golden.parameters.keys() == model.named_variables().keys()
    set_weights(model, golden.parameters)
    trainer = Trainer(model, observations, actions, sizes, _options(golden))
    trainer.return_normalizer.low.assign(golden.settings["return_normalizer"]["low"])
    trainer.return_normalizer.high.assign(golden.settings["return_normalizer"]["high"])
    return trainer


# The files' names of options that have others in the table.
_OPTIONS = {
    "horizon": "horizon_H",
    "return_decay": "return_normalization_decay",
    "world_model_scales/prediction": "prediction_loss_scale",
    "world_model_scales/dynamics": "dynamics_loss_scale",
    "world_model_scales/representation": "representation_loss_scale",
    "world_model_scales/free_nats": "free_nats",
    "laprop/learning_rate": "lr",
    "laprop/warmup": "lr_warmup",
    "laprop/clip_share": "adaptive_grad_clip",
    **{f"{part}/learning_rate": f"{part}_lr" for part in PARTS},
    **{f"{part}/clip": f"{part}_grad_clip_by_global_norm" for part in PARTS},
}


def _options(golden: Golden) -> LearningOptions:
    flat: dict[str, Any] = {}
    for name, value in golden.settings["trainer_settings"].items():
        if isinstance(value, dict):
            flat |= {f"{name}/{key}": x for key, x in value.items()}
        else:
            flat[name] = value
    # It is the batch that has the context record.
    del flat["replay_context"]
    for part in PARTS:
        assert flat.pop(f"{part}/epsilon") == ADAM_EPSILONS[part]
    # The counter of the slow critic was set by hand: the first update is no longer the first.
    flat["first_update_copies_critic"] = False
    return LearningOptions(**{_OPTIONS.get(name, name): value for name, value in flat.items()})


def _model_settings(golden: Golden, compute_dtype: str) -> ModelSettings:
    given = dict(golden.settings["model_settings"])
    given |= {"compute_dtype": compute_dtype, "symlog_obs": given.pop("symlog_vectors")}
    return ModelSettings(**given)


def _layouts(golden: Golden) -> tuple[ObservationLayout, ActionLayout]:
    kinds = {
        "vector": Vector,
        "categorical": Categorical,
        "image": Image,
        "discrete": DiscreteAction,
        "continuous": ContinuousAction,
    }

    def leaf(kind: str, **fields: Any) -> Any:
        return kinds[kind](**{k: tuple(v) if k == "classes" else v for k, v in fields.items()})

    observations, actions = (
        tuple(leaf(**fields) for fields in golden.settings[key])
        for key in ("observations", "actions")
    )
    return ObservationLayout(observations), ActionLayout(actions)


@contextlib.contextmanager
def sampling_rule(golden: Golden) -> Iterator[None]:
    """Replaces random numbers by the files' fixed ones.

    The class with the largest sum of log-probability and random number is chosen. A single uniform
    number for each categorical, which is what sampling otherwise takes, cannot express that.
    """
    noise = golden.noise

    def classes(logits: tf.Tensor, uniform: tf.Tensor, mix: float) -> tf.Tensor:
        log_probs = unimix(tf.reshape(logits, [-1, *noise["latent"].shape]), mix)
        return tf.argmax(log_probs + noise["latent"], -1, output_type=tf.int32)

    def choice(probs: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        log_probs = tf.math.log(probs)
        return tf.argmax(log_probs + noise["discrete_action"], -1, output_type=tf.int32)

    def numbers(mean: tf.Tensor, std: tf.Tensor, normal: tf.Tensor) -> tf.Tensor:
        return mean + std * noise["continuous_action"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rssm, "sample_classes", classes)
        patch.setattr(action_distribution, "inverse_cdf_sample", choice)
        patch.setattr(bounded_normal, "sample", numbers)
        yield


def first_update(golden: Golden, compute_dtype: str = "float32") -> Arrays:
    """All that one update computes, at the initial parameters; must run eagerly.

    The optimizers keep the gradients they are given and change nothing, so that the 2023 order,
    world model first, is also at the initial parameters throughout.
    """
    with pytest.MonkeyPatch.context() as patch, sampling_rule(golden):
        trainer = make_trainer(golden, compute_dtype)
        names = {v.ref(): name for name, v in trainer.model.named_variables().items()}
        gradients: Arrays = {}
        for optimizer in trainer.optimizers.values():
            labels = [names[v.ref()] for v in optimizer._variables]

            def keep(
                given: list[tf.Tensor],
                norm: tf.Tensor | None = None,
                labels: list[str] = labels,
            ) -> tf.Tensor:
                gradients.update(zip(labels, map(np.asarray, given), strict=True))
                return tf.linalg.global_norm(given)

            patch.setattr(optimizer, "apply", keep)
        calls = _Calls(patch)
        update = trainer.update(golden.batch)
        numbers = _of_world_model(golden, calls) | _of_behaviour(calls)
        numbers["return_normalizer"] = _return_normalizer(trainer)
    numbers |= {f"gradient/{name}": g for name, g in gradients.items()}
    numbers |= {f"gradient_norm/{name}": _norm(g) for name, g in gradients.items()}
    for column, key in ((LATENT_H, "h"), (LATENT_INDEX, "index")):
        if column in update.for_replay:
            numbers[f"written_back/{key}"] = update.for_replay[column]
    metrics = {name: np.asarray(x) for name, x in update.metrics.items()}
    if "replay_critic_loss" in calls:
        scale = golden.settings["trainer_settings"]["replay_critic_scale"]
        parts = [metrics[f"{part.upper()}_L_total"] for part in PARTS]
        numbers["scalars/total"] = sum(parts) + scale * metrics["CRITIC_L_replay"]
    else:
        numbers["scalars/world_model_loss"] = metrics["WORLD_MODEL_L_total"]
    return {name: np.asarray(x) for name, x in numbers.items()}


class _Calls:
    """Looks at what goes into and comes out of the losses, while the trainer computes them."""

    LOSSES: ClassVar = {
        "world_model_losses": trainer_module,
        "imagined_returns": objectives,
        "actor_loss": trainer_module,
        "critic_loss": objectives,
        "replay_critic_loss": trainer_module,
    }

    def __init__(self, patch: pytest.MonkeyPatch):
        self._calls: dict[str, tuple[dict[str, Any], Any]] = {}
        for name, module in self.LOSSES.items():
            patch.setattr(module, name, self._noting(name, getattr(module, name)))

    def _noting(self, name: str, function: Callable[..., Any]):

        def noting(*args, **kwargs):
            assert name not in self._calls, f"{name} is called twice in one update"
            result = function(*args, **kwargs)
            arguments = inspect.signature(function).bind(*args, **kwargs).arguments
            self._calls[name] = arguments, result
            return result

        return noting

    def __contains__(self, name: str) -> bool:
        return name in self._calls

    def __getitem__(self, name: str) -> tuple[dict[str, Any], Any]:
        return self._calls[name]


def _of_world_model(golden: Golden, calls: _Calls) -> Arrays:
    arguments, losses = calls["world_model_losses"]
    output = arguments["output"]
    numbers = {
        "posterior": output.posterior,
        "prior": output.prior,
        "h": output.state.h,
        "index": output.state.index,
        "reward_logits": output.reward_logits,
        "continue_logits": output.continue_logits,
        "losses/reward": losses.reward,
        "losses/continue": losses.cont,
        "losses/dynamics": losses.dynamics,
        "losses/representation": losses.representation,
    }
    for leaf in _layouts(golden)[0].leaves:
        decoded = output.observations[leaf.key].numpy()
        numbers[f"decoded/{leaf.key}"] = decoded
        numbers[f"losses/{leaf.key}"] = losses.observations[leaf.key]
        if isinstance(leaf, Image):
            numbers[f"decoded_mean/{leaf.key}"] = decoded.mean((1, 2, 3), dtype=np.float64)
    return numbers


def _of_behaviour(calls: _Calls) -> Arrays:
    of_returns, outcome = calls["imagined_returns"]
    of_actor, (actor_loss, _) = calls["actor_loss"]
    of_critic, critic_loss = calls["critic_loss"]
    policy, action = of_actor["policy"], of_actor["action"]
    numbers = {
        "imagined/reward": of_returns["reward"][1:],
        "imagined/continue": of_returns["continues"],
        "imagined/value": of_returns["values"],
        "imagined/slow_value": of_critic["slow_values"],
        "imagined/return": outcome.returns,
        "imagined/weight": outcome.weights,
        "imagined/action": action,
        "imagined/log_prob": policy.log_prob(action),
        "imagined/entropy": policy.entropy(),
        "scalars/actor_loss": actor_loss,
        "scalars/critic_loss": critic_loss.value + critic_loss.slow,
    }
    if "replay_critic_loss" in calls:
        numbers["scalars/replay_critic_loss"] = calls["replay_critic_loss"][1]
    return numbers


def five_updates(golden: Golden, compute_dtype: str = "float32") -> Arrays:
    """Metrics and normaliser of five real updates, what they changed, and the moments after."""
    with sampling_rule(golden):
        trainer = make_trainer(golden, compute_dtype)
        metrics, normalizer = [], []
        for _ in range(golden.settings["updates"]):
            metrics.append({k: float(x) for k, x in trainer.update(golden.batch).metrics.items()})
            normalizer.append(_return_normalizer(trainer))
    numbers = {f"updates/{k}": np.array([m[k] for m in metrics]) for k in metrics[0]}
    # The 2025 code has one optimizer and one norm.
    parts = [numbers[f"updates/{part.upper()}_gradients_global_norm"] for part in PARTS]
    numbers["updates/gradient_norm"] = np.linalg.norm(parts, axis=0)
    numbers["return_normalizer"] = np.array(normalizer)
    variables = trainer.model.named_variables()
    for name, variable in variables.items():
        step = np.float64(variable.numpy()) - golden.parameters[name]
        numbers[f"after_5/{name}"] = step
        numbers[f"after_5_norm/{name}"] = _norm(step)
    names = {v.ref(): name for name, v in variables.items()}
    for optimizer in trainer.optimizers.values():
        for variable, m, v in zip(optimizer._variables, optimizer.m, optimizer.v, strict=True):
            name = names[variable.ref()]
            numbers[f"first_moment_norm/{name}"] = _norm(m.numpy())
            numbers[f"second_moment_norm/{name}"] = _norm(v.numpy())
    return numbers


def _return_normalizer(trainer: Trainer) -> np.ndarray:
    normalizer = trainer.return_normalizer
    return np.array([normalizer.low.numpy(), normalizer.high.numpy()])


def _norm(x: np.ndarray) -> np.floating:
    return np.linalg.norm(np.float64(x).ravel())
