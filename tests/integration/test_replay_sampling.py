"""How replay draws, as an option: it reaches replay, losses come back, a restored run goes on."""

from typing import Any

import numpy as np
import pytest
from tiny import tiny_config

from rllib_dreamerv3.records import MODEL_LOSS
from rllib_dreamerv3.replay.selectors import Curious, Mixture, Uniform

MIXTURE = {"uniform": 0.25, "curious": 0.5, "recent": 0.25}


def config_of(sampling: Any, **training: Any) -> Any:
    return tiny_config(replay_buffer_config={"capacity": 10_000, "sampling": sampling}, **training)


def weights(algorithm: Any) -> np.ndarray:
    replay = algorithm.replay_buffer
    return replay.selector.state(replay.storage.all_addresses())["weight"]


def test_updates_return_nothing_more_for_uniform_replay(build):
    algorithm = build(tiny_config())
    algorithm.train()
    assert isinstance(algorithm.replay_buffer.selector, Uniform)
    assert algorithm._update()[1] == {}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_priorities_follow_the_losses_of_updates(build, asynchronous):
    config = config_of("curious")
    if asynchronous:
        config.env_runners(num_env_runners=1, num_cpus_per_env_runner=0.5, sampling="asynchronous")
    algorithm = build(config)
    algorithm.train()
    assert isinstance(algorithm.replay_buffer.selector, Curious)
    before = weights(algorithm)
    _, returned = algorithm._update()
    assert set(returned) == {MODEL_LOSS}
    config = algorithm.config
    assert returned[MODEL_LOSS].shape == (config.batch_size_B, config.batch_length_T)
    after = weights(algorithm)
    assert (after <= before).all()
    # Some of the trained records were new, and count as visited now.
    assert (after < before).sum() > config.batch_size_B


@pytest.mark.parametrize("variant", ["v1", "v2"])
def test_a_restored_run_draws_the_same_batches(build, tmp_path, variant):
    algorithm = build(config_of(MIXTURE, variant=variant))
    assert isinstance(algorithm.replay_buffer.selector, Mixture)
    for _ in range(5):
        algorithm.train()
    algorithm.save_to_path(tmp_path / "checkpoint")
    restored = build(config_of(MIXTURE, variant=variant))
    restored.restore_from_path(tmp_path / "checkpoint")
    np.testing.assert_array_equal(weights(restored), weights(algorithm))
    for _ in range(5):
        expected, found = (x._update()[0] for x in (algorithm, restored))
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
