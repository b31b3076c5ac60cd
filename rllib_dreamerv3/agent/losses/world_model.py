"""The world model's losses: L_pred, L_dyn and L_rep (arXiv 2301.04104v1, eq. 4 and 5).

Each is given per record, ``[N]``; the caller takes the mean over all records of a batch. For
observations the released code uses the plain squared error, without the factor 1/2 and the constant
of a unit-variance normal's log-likelihood in eq. 5.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import compiled, only_plain_operations
from rllib_dreamerv3.agent.math.categorical import free_bits, kl_divergence
from rllib_dreamerv3.agent.math.two_hot import TwoHot
from rllib_dreamerv3.agent.networks.observation_values import unit_image, vector_value
from rllib_dreamerv3.agent.networks.world_model import WorldModelOutput
from rllib_dreamerv3.options.model_sizes import ModelSettings
from rllib_dreamerv3.options.table import LearningOptions
from rllib_dreamerv3.records import ACTION_MASK, IS_TERMINAL, REWARD
from rllib_dreamerv3.spaces.layout import Categorical, Image, ObservationLayout

# Squared errors of vectors below this count as 0, and have no gradient: in v1, as in the 2023 code,
# and in v2, although the 2025 code has no such tolerance (docs/fidelity.md).
SQUARED_ERROR_TOLERANCE = 1e-8

# Bytes of one channel of the images that are decoded, compared and differentiated at a time: 256
# images of 64x64 in float32, 512 in bfloat16.
CHANNEL_BYTES_AT_A_TIME = 2**22


def image_loss(prediction: tf.Tensor, image: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Squared error ``[N]``, summed over pixels and channels; images are never symlogged.

    Args:
        prediction: float32 ``[N, h, w, c]``, nominally in [0, 1].
        image: Stored pixels ``[N, h, w, c]``.
        low: Stored value that means 0.0.
        high: Stored value that means 1.0.
    """
    return _image_loss(low, high)(prediction, image)


@functools.cache
def _image_loss(low: float, high: float) -> Callable[..., tf.Tensor]:
    def error(prediction: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        return prediction - unit_image(image, low, high)

    def loss(prediction: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
        by_row = tf.reduce_sum(tf.square(error(prediction, image)), [2, 3])
        return tf.reduce_sum(by_row, 1)

    def gradient(
        prediction: tf.Tensor, image: tf.Tensor, upstream: tf.Tensor
    ) -> tuple[tf.Tensor, None]:
        return 2.0 * upstream[:, None, None, None] * error(prediction, image), None

    # Images are the largest arrays of an update: one pass through memory forward, one backward.
    return compiled(loss, gradient)


def vector_loss(prediction: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Squared error ``[N]`` of ``[N, width]``, summed over components; tiny ones count as 0."""
    error = tf.math.squared_difference(prediction, target)
    return tf.reduce_sum(tf.where(error < SQUARED_ERROR_TOLERANCE, 0.0, error), -1)


def class_loss(logits: tf.Tensor, one_hots: tf.Tensor, classes: tuple[int, ...]) -> tf.Tensor:
    """Cross-entropy ``[N]`` of each component's logits, side by side ``[N, width]``, added up."""
    parts = zip(tf.split(logits, classes, -1), tf.split(one_hots, classes, -1), strict=True)
    return tf.add_n([tf.nn.softmax_cross_entropy_with_logits(target, x) for x, target in parts])


def continue_loss(logits: tf.Tensor, is_terminal: tf.Tensor, discount: float = 1.0) -> tf.Tensor:
    """Cross-entropy ``[N]`` of the continue logits ``[N]``.

    Args:
        logits: float32 ``[N]``.
        is_terminal: bool ``[N]``.
        discount: Label where the episode continues: 1, or the discount factor, which the head then
            multiplies into the continue probability (2025 code).
    """
    label = discount * (1.0 - tf.cast(is_terminal, tf.float32))
    return tf.nn.sigmoid_cross_entropy_with_logits(label, logits)


def mask_loss(logits: tf.Tensor, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Cross-entropy ``[N]`` of the mask's logits ``[N, M]``, summed over the choices."""
    label = tf.cast(columns[ACTION_MASK], tf.float32)
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(label, logits), -1)


def observation_losses(
    predictions: Mapping[str, tf.Tensor],
    columns: Mapping[str, tf.Tensor],
    layout: ObservationLayout,
    settings: ModelSettings,
) -> dict[str, tf.Tensor]:
    """Reconstruction loss ``[N]`` of each observation column ``[N, ...]``, by key."""
    losses = {}
    for leaf in layout.leaves:
        prediction, column = predictions[leaf.key], columns[leaf.key]
        if isinstance(leaf, Image):
            losses[leaf.key] = image_loss(prediction, column, leaf.low, leaf.high)
            continue
        target = vector_value(leaf, column, settings)
        if isinstance(leaf, Categorical) and settings.discrete_observations == "categorical":
            losses[leaf.key] = class_loss(prediction, target, leaf.classes)
        else:
            losses[leaf.key] = vector_loss(prediction, target)
    return losses


class WorldModelLosses(NamedTuple):
    """Losses of a batch, all float32 ``[N]``.

    Attributes:
        observations: By observation key.
        reward: Two-hot cross-entropy.
        cont: Cross-entropy of the continue flag.
        dynamics: KL[sg(posterior) || prior], clipped from below.
        representation: KL[posterior || sg(prior)], clipped from below.
        kl: The KL itself, before clipping; no gradient.
        mask: Cross-entropy of the action mask, summed over choices; None without masks.
    """

    observations: dict[str, tf.Tensor]
    reward: tf.Tensor
    cont: tf.Tensor
    dynamics: tf.Tensor
    representation: tf.Tensor
    kl: tf.Tensor
    mask: tf.Tensor | None = None

    @property
    def prediction(self) -> tf.Tensor:
        """L_pred ``[N]``: observations, reward, continue, and the action mask if there is one."""
        parts = [*self.observations.values(), self.reward, self.cont]
        return tf.add_n(parts if self.mask is None else [*parts, self.mask])

    def weighted(self, options: LearningOptions) -> tf.Tensor:
        """Weighted sum of the three losses, ``[N]``."""
        return (
            options.prediction_loss_scale * self.prediction
            + options.dynamics_loss_scale * self.dynamics
            + options.representation_loss_scale * self.representation
        )


def records_at_a_time(layout: ObservationLayout, settings: ModelSettings) -> int | None:
    """Number of records to decode at a time so that memory is bounded; None (all) without images.

    All at once too on devices that need much work at a time.
    """
    pixels = sum(image.height * image.width for image in layout.images)
    if not pixels or only_plain_operations():
        return None
    return max(1, CHANNEL_BYTES_AT_A_TIME // (pixels * tf.as_dtype(settings.compute_dtype).size))


def world_model_losses(
    output: WorldModelOutput,
    columns: Mapping[str, tf.Tensor],
    layout: ObservationLayout,
    two_hot: TwoHot,
    settings: ModelSettings,
    options: LearningOptions,
) -> WorldModelLosses:
    """Compute all losses of a batch.

    Args:
        output: The world model's output for the batch.
        columns: Record columns ``[N, ...]``, in the order of ``output``.
        layout: The observation layout.
        two_hot: Encoding of the reward.
        settings: How observations are predicted.
        options: Free bits, and the label where an episode continues.

    Returns:
        The losses of every record.
    """
    posterior, prior = output.posterior, output.prior
    kl_dynamics = kl_divergence(tf.stop_gradient(posterior), prior)
    kl_representation = kl_divergence(posterior, tf.stop_gradient(prior))
    return WorldModelLosses(
        observations=observation_losses(output.observations, columns, layout, settings),
        reward=two_hot.loss(output.reward_logits, columns[REWARD]),
        cont=continue_loss(output.continue_logits, columns[IS_TERMINAL], options.continue_label),
        dynamics=free_bits(kl_dynamics, options.free_nats),
        representation=free_bits(kl_representation, options.free_nats),
        kl=tf.stop_gradient(kl_dynamics),
        mask=None if output.mask_logits is None else mask_loss(output.mask_logits, columns),
    )
