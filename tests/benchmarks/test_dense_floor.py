"""Floating point operations, counted by hand for the smallest model."""

import math

import pytest
from dense_floor import convolved_side, dense_gflop, products
from peers.own_update import layouts
from peers.workloads import SPACES

from rllib_dreamerv3.agent.networks.model import DreamerModel
from rllib_dreamerv3.options.model_sizes import model_settings
from rllib_dreamerv3.options.table import LearningOptions

# "nano": D = units = 16, S = C = 4, so that z has 16 numbers; 255 bins; one layer each.
D, U, Z, BINS = 16, 16, 16, 255


def nano(spaces_name: str) -> tuple[DreamerModel, tuple]:
    observations, actions = layouts(SPACES[spaces_name])
    return DreamerModel(observations, actions, model_settings("nano")), (observations, actions)


def test_products_of_vectors() -> None:
    counts = products(nano("vector")[0], "strided", 0)

    def total(prefix: str) -> float:
        return sum(n for name, n in counts.items() if name.startswith(prefix))

    assert total("encoder/") == 4 * U
    assert total("decoder/") == (D + Z) * U + U * 4
    assert total("reward/") == total("critic/") == (D + Z) * U + U * BINS
    assert total("continue/") == (D + Z) * U + U
    assert total("actor/") == (D + Z) * U + U * 2
    assert total("rssm/prior") == D * U + U * Z
    # z and 2 actions into the GRU's input, with h into 3 gates.
    assert total("rssm/sequence_model") == (Z + 2) * U + (U + D) * 3 * D


def test_convolutions_count_their_pixels() -> None:
    # 64 -> 32 -> 16 -> 8 -> 4 and back.
    down = [convolved_side("strided", f"encoder/cnn/stages/{i}/kernel", 64) for i in range(4)]
    up = [convolved_side("strided", f"decoder/cnn/stages/{i}/kernel", 64) for i in range(4)]
    assert (down, up) == ([32, 16, 8, 4], [4, 8, 16, 32])
    # 64 at full size, then pooled; upsampled 4 -> 8 before the first one back.
    down = [convolved_side("pooled", f"encoder/cnn/stages/{i}/kernel", 64) for i in range(4)]
    up = [convolved_side("pooled", f"decoder/cnn/stages/{i}/kernel", 64) for i in range(4)]
    assert (down, up) == ([64, 32, 16, 8], [8, 16, 32, 64])


def test_operations_of_an_update() -> None:
    model, layout = nano("vector")

    def gflop(records: int, **settings) -> float:
        return dense_gflop(model, *layout, "strided", LearningOptions(**settings), records)

    assert gflop(20) == pytest.approx(2 * gflop(10))
    # One more imagined step: a step of the model; all heads; the way back of actor and critic.
    step = (Z + 2) * U + (U + D) * 3 * D + D * U + U * Z
    first, last = (D + Z) * U, U * BINS
    actor, critic = first + U * 2, first + last
    forward = step + actor + (first + last) + (first + U) + critic + critic
    backward = actor + (2 * actor - first) + (2 * critic - first)
    assert gflop(10, horizon_H=4) - gflop(10, horizon_H=3) == pytest.approx(
        2 * 10 * (forward + backward) / 1e9
    )
    assert math.isclose(
        gflop(10, replay_critic_scale=0.3) - gflop(10), 2 * 10 * 4 * critic / 1e9, rel_tol=1e-6
    )
