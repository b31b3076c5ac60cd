"""Adam and LaProp with gradient clipping, as in the authors' code."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from rllib_dreamerv3.errors import CheckpointError
from rllib_dreamerv3.options.table import LearningOptions

# Added to the bias-corrected root of the second moment (2023 code).
ADAM_EPSILONS = {
    "world_model": 1e-8,
    "actor": 1e-5,
    "critic": 1e-5,
    "ensemble": 1e-5,
    "intrinsic_critic": 1e-5,
}
# The parts of the model that only exploration has.
EXPLORATION = ("ensemble", "intrinsic_critic")
# Maximum global norm of the ensemble's gradients with Adam (2023 code).
ENSEMBLE_CLIP = 100.0
# Root of the smallest normal float32.
_LEAST_ROOT = float(np.sqrt(np.finfo(np.float32).tiny))


class Optimizer(tf.Module):
    """Common base: step counter, two moments per variable, and their state.

    Attributes:
        learning_rate: float32 scalar variable, which schedules assign.
        step: Number of updates so far, int64 scalar variable.
        m: First moments, float32 variables aligned with the variables to be optimized.
        v: Second moments, likewise.
    """

    # The variables to be optimized belong to the network, not to this module.
    _TF_MODULE_IGNORED_PROPERTIES = frozenset(
        {"_variables", *tf.Module._TF_MODULE_IGNORED_PROPERTIES}
    )

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        learning_rate: float,
        epsilon: float,
        beta1: float,
        beta2: float,
        steps: Sequence[bool] | None = None,
    ):
        """Create the moments (zeros)."""
        super().__init__()
        self._variables = tuple(variables)
        self._stepping = [i for i in range(len(variables)) if steps is None or steps[i]]
        self._labels = tuple(f"{i:03d}/{v.name.split(':')[0]}" for i, v in enumerate(variables))
        self._epsilon = epsilon
        self._beta1 = beta1
        self._beta2 = beta2
        self.learning_rate = tf.Variable(learning_rate, False, dtype=tf.float32, name="lr")
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step")
        self.m = [tf.Variable(tf.zeros(v.shape), trainable=False, name="m") for v in variables]
        self.v = [tf.Variable(tf.zeros(v.shape), trainable=False, name="v") for v in variables]

    @abstractmethod
    def apply(
        self, gradients: Sequence[tf.Tensor | None], norm: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Update the variables that are not frozen.

        Args:
            gradients: One for each variable that is not frozen, in the same order, float32.
            norm: The result, if it has been computed already.

        Returns:
            Global norm of the gradients before clipping, float32 scalar.

        Raises:
            ValueError: If a gradient is missing.
        """

    def get_state(self) -> dict[str, np.ndarray]:
        """Step counter and moments by name (the learning rate belongs to the configuration)."""
        return {name: np.asarray(variable) for name, variable in self._state().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned.

        Args:
            state: Arrays by name.

        Raises:
            CheckpointError: If the state belongs to other variables. Nothing changes then.
        """
        own = self._state()
        check_state(own, state)
        for name, variable in own.items():
            variable.assign(state[name])

    def _state(self) -> dict[str, tf.Variable]:
        moments = {"m": self.m, "v": self.v}
        return {"step": self.step} | {
            f"{kind}/{label}": variable
            for kind, variables in moments.items()
            for label, variable in zip(self._labels, variables, strict=True)
        }

    def _dense(self, gradients: Sequence[tf.Tensor | None]) -> list[tf.Tensor]:
        """The gradients, checked."""
        if len(gradients) != len(self._stepping):
            raise ValueError(
                f"Got {len(gradients)} gradients for {len(self._stepping)} variables; pass one "
                "for each, in the order of the variables."
            )
        missing = [
            f"{self._labels[i]} {tuple(self._variables[i].shape)}"
            for i, gradient in zip(self._stepping, gradients, strict=True)
            if gradient is None
        ]
        if missing:
            raise ValueError(
                f"No gradient reaches {len(missing)} variable(s): {', '.join(missing)}. Either the "
                "loss does not depend on them or a stop_gradient cuts them off; leave them out of "
                "the optimizer or correct the loss."
            )
        return [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _slots(self) -> list[tuple[tf.Variable, tf.Variable, tf.Variable]]:
        """Each variable that is not frozen, with its two moments."""
        return [(self._variables[i], self.m[i], self.v[i]) for i in self._stepping]

    def _next_powers(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Count one update and return ``beta1 ** step`` and ``beta2 ** step``, float32."""
        step = tf.cast(self.step.assign_add(1), tf.float64)
        # The betas are rounded to float32, as in the update of the moments: bias correction is
        # exact only with the same numbers.
        beta1, beta2 = np.float64(np.float32(self._beta1)), np.float64(np.float32(self._beta2))
        return tf.cast(beta1**step, tf.float32), tf.cast(beta2**step, tf.float32)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1) after clipping by global norm: the 2023 optimizer.

    Epsilon is added to the bias-corrected root of the second moment. Keras adds it before the
    correction, which makes it up to 32 times larger in the first updates; with the actor's 1e-5
    that slows learning down.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        learning_rate: float,
        epsilon: float,
        clip_global_norm: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        steps: Sequence[bool] | None = None,
    ):
        """Create the moments (zeros).

        Args:
            variables: Variables to optimize, float32.
            learning_rate: Step size.
            epsilon: Added to the denominator.
            clip_global_norm: Maximum global norm of the gradients.
            beta1: Decay of the first moments.
            beta2: Decay of the second moments.
            steps: See :class:`LaProp`.
        """
        super().__init__(variables, learning_rate, epsilon, beta1, beta2, steps)
        self._clip_global_norm = clip_global_norm

    def apply(
        self, gradients: Sequence[tf.Tensor | None], norm: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Update the variables; see `Optimizer.apply`."""
        dense = self._dense(gradients)
        if norm is None:
            norm = tf.linalg.global_norm(dense)
        scale = self._clip_global_norm / norm
        clipped = tf.cond(
            norm < self._clip_global_norm, lambda: dense, lambda: [scale * g for g in dense]
        )
        beta1_power, beta2_power = self._next_powers()
        # TensorFlow's fused kernel uses Keras's epsilon; this factor compensates the difference.
        epsilon = self._epsilon * tf.sqrt(1.0 - beta2_power)
        for (variable, m, v), gradient in zip(self._slots(), clipped, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=beta1_power,
                beta2_power=beta2_power,
                lr=self.learning_rate,
                beta1=self._beta1,
                beta2=self._beta2,
                epsilon=epsilon,
                grad=gradient,
            )
        return norm


class LaProp(Optimizer):
    """LaProp (Ziyin et al. 2020) after adaptive gradient clipping: the 2025 optimizer.

    It divides gradients by the root of the second moment first and averages them afterwards, the
    reverse of Adam. Clipping limits each gradient to a share of the norm of its variable (Brock et
    al. 2021, with the norm of complete variables, 2025 code).
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        learning_rate: float,
        epsilon: float = 1e-20,
        clip_share: float = 0.3,
        min_norm: float = 1e-3,
        warmup: int = 1000,
        beta1: float = 0.9,
        beta2: float = 0.999,
        steps: Sequence[bool] | None = None,
    ):
        """Create the moments (zeros).

        Args:
            variables: Variables to optimize, float32.
            learning_rate: Step size after the warm-up.
            epsilon: Added to the denominator, together with the root of the smallest normal
                float32, which limits the precision of the second moment (2025 code: without).
            clip_share: Maximum norm of a gradient, as a share of the norm of its variable.
            min_norm: Lower bound of a variable's norm in clipping, so that zeros can change.
            warmup: Number of updates over which the step size grows from 0; 0 for none.
            beta1: Decay of the first moments.
            beta2: Decay of the second moments.
            steps: Whether each variable is updated; False for frozen ones, whose moments are
                unchanged. None for all.
        """
        super().__init__(variables, learning_rate, epsilon, beta1, beta2, steps)
        self._clip_share = clip_share
        self._min_norm = min_norm
        self._warmup = warmup

    def current_learning_rate(self) -> tf.Tensor:
        """Step size of the next update, float32 scalar; 0 for the first one with a warm-up."""
        if not self._warmup:
            return tf.convert_to_tensor(self.learning_rate)
        return self.learning_rate * tf.minimum(1.0, tf.cast(self.step, tf.float32) / self._warmup)

    def apply(
        self, gradients: Sequence[tf.Tensor | None], norm: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Update the variables; see `Optimizer.apply`."""
        dense = self._dense(gradients)
        learning_rate = self.current_learning_rate()
        beta1_power, beta2_power = self._next_powers()
        rate = learning_rate / (1.0 - beta1_power)
        root_correction = tf.math.rsqrt(1.0 - beta2_power)
        # TensorFlow flushes a second moment below the smallest normal float32 to 0. Divided by
        # epsilon alone, a gradient of 3e-18 would then change its parameter by 300 learning rates.
        epsilon = self._epsilon + root_correction * _LEAST_ROOT
        norms = [tf.norm(gradient) for gradient in dense]
        for (variable, m, v), gradient, own_norm in zip(self._slots(), dense, norms, strict=True):
            gradient *= self._clip_factor(variable, own_norm)
            v.assign(self._beta2 * v + (1.0 - self._beta2) * tf.square(gradient))
            normalized = gradient / (root_correction * tf.sqrt(v) + epsilon)
            m.assign(self._beta1 * m + (1.0 - self._beta1) * normalized)
            variable.assign_sub(rate * m)
        return tf.norm(tf.stack(norms)) if norm is None else norm

    def _clip_factor(self, variable: tf.Variable, gradient_norm: tf.Tensor) -> tf.Tensor:
        limit = self._clip_share * tf.maximum(self._min_norm, tf.norm(variable))
        return 1.0 / tf.maximum(1.0, gradient_norm / limit)


def check_state(own: Mapping[str, tf.Variable], state: Mapping[str, np.ndarray]) -> None:
    """Raise CheckpointError if arrays cannot be assigned to the variables of the same names."""
    differing = sorted(own.keys() ^ state.keys()) or [
        name for name, variable in own.items() if not _fits(variable, state[name])
    ]
    if differing:
        raise CheckpointError(
            f"This optimizer state belongs to another network: {len(differing)} entries differ in "
            f"name, shape or dtype, the first is {differing[0]!r}. Restore with the model size, "
            "variant and spaces it was saved with."
        )
    for name, variable in own.items():
        if variable.dtype.is_integer and np.any(state[name] < 0):
            raise CheckpointError(f"{name!r} of this optimizer state is negative: it is damaged.")


def _fits(variable: tf.Variable, array: np.ndarray) -> bool:
    shape, dtype = np.shape(array), np.asarray(array).dtype
    return bool(variable.shape == shape and variable.dtype.as_numpy_dtype == dtype)


def optimizer_parts(parts: Iterable[str], options: LearningOptions) -> dict[str, tuple[str, ...]]:
    """Return the parts of the model that each optimizer steps, in the order of its variables.

    Args:
        parts: Names of all parts.
        options: Kind of the optimizer.

    Returns:
        Optimizer -> parts. With Adam one for each part, with its name; with LaProp "all", and
        "exploration" if there is more.
    """
    if options.optimizer_type == "adam":
        return {name: (name,) for name in parts}
    main = tuple(name for name in parts if name not in EXPLORATION)
    more = tuple(name for name in parts if name in EXPLORATION)
    return {"all": main} | ({"exploration": more} if more else {})


def make_optimizers(
    variables: Mapping[str, Sequence[tf.Variable]],
    frozen: Collection[Any],
    options: LearningOptions,
) -> dict[str, Optimizer]:
    """Create the optimizers of a trainer.

    Args:
        variables: Variables of each part of the model, by name.
        frozen: ``ref()`` of the variables that are not trained. They have moments, too: which ones
            are frozen may change when a run is resumed.
        options: Kind and settings of the optimizer.

    Returns:
        By name, see :func:`optimizer_parts`.
    """
    rates = options.first_rates
    if options.optimizer_type == "laprop":
        return {
            name: _laprop([v for x in parts for v in variables[x]], frozen, rates[name], options)
            for name, parts in optimizer_parts(variables, options).items()
        }
    clips = {
        "world_model": options.world_model_grad_clip_by_global_norm,
        "actor": options.actor_grad_clip_by_global_norm,
        "critic": options.critic_grad_clip_by_global_norm,
        "ensemble": ENSEMBLE_CLIP,
        "intrinsic_critic": options.critic_grad_clip_by_global_norm,
    }
    return {
        name: Adam(
            part,
            learning_rate=rates[name],
            epsilon=ADAM_EPSILONS[name],
            clip_global_norm=clips[name],
            steps=[v.ref() not in frozen for v in part],
        )
        for name, part in variables.items()
    }


def _laprop(
    variables: Sequence[tf.Variable],
    frozen: Collection[Any],
    learning_rate: float,
    options: LearningOptions,
) -> LaProp:
    return LaProp(
        variables,
        learning_rate,
        clip_share=options.adaptive_grad_clip,
        warmup=options.lr_warmup,
        steps=[v.ref() not in frozen for v in variables],
    )
