"""How far one model of a policy is from another, on random observations."""

from typing import Any

import numpy as np

from rllib_dreamerv3.exporting.step import ExportedStep
from rllib_dreamerv3.portable.runners import Arrays, Run
from rllib_dreamerv3.records import ACTION_MASK
from rllib_dreamerv3.spaces.layout import Categorical, DiscreteAction, Image

STEPS, ENVIRONMENTS = 25, 16


def measure_difference(step: ExportedStep, reference: Run, other: Run) -> dict[str, Any]:
    """Lets two models take the same steps, each from the state of the first.

    What a step adds is measured, not what adds up: z is sampled, so that two policies that differ
    in one class go their own ways from there. There is no environment here; observations are
    random, pixels and classes uniformly, numbers normally distributed.

    Args:
        step: What both models compute.
        reference: Runs the first one.
        other: Runs the second one.

    Returns:
        ``steps``; ``h_mean``, the mean absolute difference of h, whose elements are in [-1, 1];
        ``classes_equal``, the share of z's categoricals with the same class; ``choices_equal``,
        the share of most likely discrete actions that are the same, and ``numbers_mean``, the mean
        absolute difference of most likely numbers, each only where the policy has such.
    """
    rng = np.random.default_rng(0)
    h, classes, choices, numbers = [], [], [], []
    state: Arrays = {}
    for _ in range(STEPS):
        inputs = _random_inputs(step, rng) | state
        inputs["is_first"] = np.full(ENVIRONMENTS, not state)
        one, two = reference(inputs), other(inputs)
        state = {"h": one["next_h"], "index": one["next_index"], "action": one["mode"]}
        h.append(np.abs(one["next_h"] - two["next_h"]).mean())
        classes.append((one["next_index"] == two["next_index"]).mean())
        start = 0
        for leaf in step.actions.leaves:
            places = slice(start, start + leaf.size)
            start += leaf.size
            first, second = one["mode"][:, places], two["mode"][:, places]
            if isinstance(leaf, DiscreteAction):
                choices.append((first.argmax(-1) == second.argmax(-1)).mean())
            else:
                numbers.append(np.abs(first - second).mean())
    means = {"h_mean": h, "classes_equal": classes, "choices_equal": choices}
    means["numbers_mean"] = numbers
    rounded = {name: float(f"{np.mean(x):.3g}") for name, x in means.items() if x}
    return {"steps": STEPS * ENVIRONMENTS, **rounded}


def _random_inputs(step: ExportedStep, rng: np.random.Generator) -> Arrays:
    inputs: Arrays = {}
    for name, spec in step.inputs.items():
        shape = (ENVIRONMENTS, *spec.shape[1:])
        if name.endswith("_noise"):
            inputs[name] = rng.random(shape, np.float32)
        else:
            inputs[name] = np.zeros(shape, spec.dtype.as_numpy_dtype)
    for name, leaf in step.leaves.items():
        shape = (ENVIRONMENTS, *leaf.shape)
        values: np.ndarray
        if isinstance(leaf, Image):
            values = rng.uniform(leaf.low, leaf.high, shape)
        elif isinstance(leaf, Categorical):
            values = rng.integers(0, leaf.classes, shape)
        else:
            values = rng.normal(size=shape)
        inputs[name] = values.astype(leaf.dtype)
    if ACTION_MASK in inputs:
        inputs[ACTION_MASK][:] = 1
    return inputs
