"""Updates in a row against the same in float64: optimizers, normaliser, slow critic, all between.

The golden files have the authors' numbers of five updates on one batch, with samples by a rule.
Here each update has another batch, samples are drawn as in training, the slow critic of v1 becomes
a copy after the first, and the warm-up of v2 ends on the way. `benchmarks/long_comparison.py` does
the same for thousands of updates.
"""

import numpy as np
import pytest
import synthetic
from plain import SIZES
from plain_training import PlainTrainer, RecordingTrainer, by_part, measures_of, weights_of
from plain_v2 import SIZES_V2

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.options.table import LearningOptions

UPDATES, ROWS, LENGTH, SEED = 10, 3, 4, 7
RATES = {"v1": ("world_model_lr", "actor_lr", "critic_lr"), "v2": ("lr",)}


def make(variant, actions, **options):
    sizes = SIZES if variant == "v1" else SIZES_V2
    model = DreamerModel(synthetic.VECTOR, actions, sizes, seed=0)
    synthetic.scramble(model)
    for part in ("reward", "critic"):
        # Without it single bins of hundreds of millions decide about the values.
        bias = model.named_variables()[f"{part}/output/bias"]
        bias.assign_sub(0.2 * np.abs(np.arange(255, dtype=np.float32) - 127))
    for slow, fast in zip(model.slow_critic.variables, model.critic.variables, strict=True):
        slow.assign(fast)
    # Large steps, beside which the rounding of parameters is small.
    rates = dict.fromkeys(RATES[variant], 1e-3)
    options = LearningOptions.of_variant(variant, horizon_H=2, **rates, **options)
    layouts = synthetic.VECTOR, actions
    ours = RecordingTrainer(model, *layouts, sizes, options, seed=SEED, rows=ROWS, length=LENGTH)
    return ours, PlainTrainer(ours, variant)


def batch(variant, actions, seed):
    if variant == "v1":
        return synthetic.batch(synthetic.VECTOR, actions, ROWS, LENGTH, seed)
    shape = SIZES_V2, ROWS, LENGTH, seed
    return synthetic.batch_with_context(synthetic.VECTOR, actions, *shape)


@pytest.mark.long
@pytest.mark.parametrize(
    ("variant", "actions", "options"),
    [
        ("v1", synthetic.CONTINUOUS, {"world_model_grad_clip_by_global_norm": 2.0}),
        ("v2", synthetic.DISCRETE, {"lr_warmup": 4}),
        ("v1", synthetic.CONTINUOUS, {"imag_last": 2}),
        ("v2", synthetic.DISCRETE, {"imag_last": 2, "lr_warmup": 4}),
    ],
    ids=["v1-dynamics", "v2-reinforce", "v1-last", "v2-last"],
)
def test_ten_updates(variant, actions, options):
    ours, plain = make(variant, actions, **options)
    begun = weights_of(ours.model)
    for update in range(UPDATES):
        records = batch(variant, actions, update)
        metrics = ours.update(records).metrics
        found = plain.update(records, ours.samples, ours.noise_of(records, update))
        assert found["z_apart"] == 0.0
        assert found["action_apart"] < 1e-6
        for name, value in measures_of(metrics).items():
            np.testing.assert_allclose(value, found[name], 1e-5, 1e-6, err_msg=f"{update}: {name}")
    now = weights_of(ours.model)
    changed = {name: x - begun[name] for name, x in now.items()}
    expected = {name: x - begun[name] for name, x in plain.numbers().items()}
    for part, difference in by_part(changed, expected).items():
        assert difference < 1e-3, part
    normalizer = ours.return_normalizer
    for average, other in ((normalizer.low, plain.low), (normalizer.high, plain.high)):
        np.testing.assert_allclose(average, other, 1e-5)
