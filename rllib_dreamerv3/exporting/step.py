"""One step of a policy as a TensorFlow function that other runtimes support.

The networks are those that act in training (:meth:`Policy.step`), traced without XLA and in
float32.
"""

import dataclasses
import re
from typing import Any, NamedTuple

import tensorflow as tf

from rllib_dreamerv3.agent.kernels.compiled import plain_operations
from rllib_dreamerv3.agent.networks.model import PolicyModel, Weights, set_weights
from rllib_dreamerv3.agent.networks.saved import SavedNetworks
from rllib_dreamerv3.agent.networks.state import State
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.layout import DiscreteAction, ObservationLayout


class ExportedStep(NamedTuple):
    """Source of every format.

    Attributes:
        networks: The networks with their parameters.
        function: A ``tf.function`` of named tensors ``[N, ...]`` that returns named tensors.
        inputs: Shape, dtype and name of each input; N is unspecified.
    """

    networks: PolicyModel
    function: Any
    inputs: dict[str, tf.TensorSpec]


def make_step(saved: SavedNetworks, weights: Weights) -> ExportedStep:
    """Build the networks, and the function of one step.

    Args:
        saved: Description of the networks, which compute in float32 in any case.
        weights: Their parameters.

    Returns:
        The step; its inputs and outputs are those of ``portable/runners.py``.

    Raises:
        ValueError: If the parameters do not fit.
    """
    settings = dataclasses.replace(saved.settings, compute_dtype="float32")
    observations, actions = saved.observations.layout, saved.actions.layout
    networks = PolicyModel.create(observations, actions, settings)
    set_weights(networks, weights)
    policy = networks.policy
    names = input_names(observations)
    # Constants, because resets are rare and every step would compute them again.
    with plain_operations():
        initial = policy.rssm.initial_state()
    first_h, first_index = initial.h.numpy(), initial.index.numpy()

    def step(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = {key: inputs[name] for key, name in names.items()}
        if actions.masked:
            columns[ACTION_MASK] = inputs[ACTION_MASK]
        with plain_operations():
            state, action = policy.step(
                columns,
                inputs["is_first"],
                State(inputs["h"], inputs["index"]),
                inputs["action"],
                inputs["latent_noise"],
                State(tf.constant(first_h), tf.constant(first_index)),
            )
            return {
                "next_h": state.h,
                "next_index": state.index,
                "sample": action.sample(inputs["action_noise"]),
                "mode": action.mode(),
            }

    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        names[leaf.key]: (leaf.shape, leaf.dtype) for leaf in observations.leaves
    }
    if actions.masked:
        shapes[ACTION_MASK] = ((len(actions.mask_positions),), "uint8")
    noise = sum(1 if isinstance(x, DiscreteAction) else x.size for x in actions.leaves)
    shapes |= {
        "is_first": ((), "bool"),
        "h": ((settings.deterministic,), "float32"),
        "index": ((settings.categoricals,), "int32"),
        "action": ((actions.size,), "float32"),
        "latent_noise": ((settings.categoricals,), "float32"),
        "action_noise": ((noise,), "float32"),
    }
    specs = {
        name: tf.TensorSpec([None, *shape], dtype, name) for name, (shape, dtype) in shapes.items()
    }
    function = tf.function(step, autograph=False)
    return ExportedStep(networks, function, specs)


def input_names(observations: ObservationLayout) -> dict[str, str]:
    """Name the input of each observation column, with letters, digits and "_" only."""
    names: dict[str, str] = {}
    for leaf in observations.leaves:
        name = plain = re.sub(r"\W", "_", leaf.key, flags=re.ASCII)
        number = 2
        while name in names.values():
            name, number = f"{plain}_{number}", number + 1
        names[leaf.key] = name
    return names
