"""How replay draws, as an option: it reaches replay, losses come back, a restored run goes on."""

from typing import Any

import numpy as np
import pytest
from tiny import tiny_config

from rllib_dreamerv3.records import MODEL_LOSS

MIXTURE = {"uniform": 0.25, "curious": 0.5, "recent": 0.25}


def config_of(**training: Any) -> Any:
    replay = {"capacity": 10_000, "sampling": MIXTURE}
    return tiny_config(replay_buffer_config=replay, **training)


def weights(algorithm: Any) -> np.ndarray:
    replay = algorithm.replay_buffer
    return replay.selector.state(replay.storage.all_addresses())["weight"]


def assert_losses_reach_replay(algorithm: Any) -> None:
    before = weights(algorithm)
    _, returned = algorithm._update()
    config = algorithm.config
    assert returned[MODEL_LOSS].shape == (config.batch_size_B, config.batch_length_T)
    after = weights(algorithm)
    assert (after != before).any()
    assert (after <= before).all(), "all were new, or visited less often"


@pytest.mark.parametrize("variant", ["v1", pytest.param("v2", marks=pytest.mark.long)])
def test_a_restored_run_draws_the_same_batches(build, tmp_path, variant):
    algorithm = build(config_of(variant=variant))
    algorithm.train()
    assert_losses_reach_replay(algorithm)
    algorithm.save_to_path(tmp_path / "checkpoint")
    restored = build(config_of(variant=variant))
    restored.restore_from_path(tmp_path / "checkpoint")
    np.testing.assert_array_equal(weights(restored), weights(algorithm))
    for _ in range(3):
        expected, found = (x._update()[0] for x in (algorithm, restored))
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.long
def test_losses_reach_replay_with_asynchronous_sampling(build):
    config = config_of()
    config.env_runners(num_env_runners=1, num_cpus_per_env_runner=0.5, sampling="asynchronous")
    algorithm = build(config)
    algorithm.train()
    assert_losses_reach_replay(algorithm)
