"""Recorded episodes as chunks for replay: streams, latents, spaces, damage."""

import gymnasium as gym
import numpy as np
import pytest
from episodes import NESTED, NUMBERS, episode
from gymnasium import spaces

from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.data.loading import chunks_of
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.replay.buffer import ReplayBuffer
from rllib_dreamerv3.replay.column_specs import ColumnSpec
from rllib_dreamerv3.spaces.codecs import Spaces, make_codecs


class Given(Dataset):
    """Episodes in memory."""

    format, place = "given", "somewhere"

    def __init__(self, *episodes, spaces=None):
        self._episodes, self.spaces = episodes, spaces

    def parts(self):
        return ["all"]

    def read(self, part):
        return iter(self._episodes)


def chunks(*datasets, of=NUMBERS, latents=None, **options):
    return list(chunks_of(datasets, *make_codecs(*of), latents=latents or {}, **options))


def test_complete_episodes_follow_each_other_and_parts_stand_alone():
    found = chunks(
        Given(episode(), episode(seed=1), episode(seed=2, from_reset=False)),
        Given(episode(seed=3, terminated=False), episode(seed=4)),
    )
    assert [(chunk.stream, chunk.start) for chunk in found] == [
        ("recorded-0", 0),
        ("recorded-0", 6),
        ("recorded-1", 0),
        ("recorded-1", 6),
        ("recorded-2", 0),
    ]
    assert [len(chunk.ended) for chunk in found] == [1, 1, 0, 0, 1]
    assert found[0].ended[0].length == 5
    assert found[0].ended[0].ret == pytest.approx(episode().rewards.sum())


def test_sequences_cross_episodes_but_no_gap():
    replay = ReplayBuffer(length=9, capacity_records=100, seed=0)
    for chunk in chunks(Given(episode(), episode(seed=1), episode(seed=2, from_reset=False))):
        replay.add(chunk)
    # 12 consecutive records, then 6 that stand alone.
    assert replay.num_windows == 4
    firsts = replay.sample(50).columns["is_first"]
    assert firsts[:, 1:].any()


def test_latents_are_zero():
    latents = {"latent/h": ColumnSpec(np.dtype(np.float32), (8,))}
    (chunk,) = chunks(Given(episode(terminated=False)), latents=latents)
    assert chunk.columns["latent/h"].shape == (5, 8)
    assert not chunk.columns["latent/h"].any()


def test_the_online_queue_does_not_serve_them():
    replay = ReplayBuffer(length=2, online_queue=True, capacity_records=100, seed=0)
    (chunk,) = chunks(Given(episode()))
    replay.add(chunk, queue=False)
    assert replay.metrics()["num_windows_queued"] == 0
    replay.add(chunk)
    assert replay.metrics()["num_windows_queued"] == 2


def changed(space, **parts):
    return spaces.Dict({**space.spaces, **parts})


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        (
            Spaces(spaces.Dict(camera=NESTED.observation["camera"]), NESTED.action),
            "The observation at 'arm/0' is not in somewhere, which has camera",
        ),
        (
            Spaces(NESTED.observation, changed(NESTED.action, grip=spaces.Discrete(3))),
            r"action at 'grip' is Discrete\(2\) in the environment, but Discrete\(3\)",
        ),
        (
            Spaces(
                changed(NESTED.observation, camera=spaces.Box(0, 1, (64, 64, 3), np.float32)),
                NESTED.action,
            ),
            "observation at 'camera' is",
        ),
        (NUMBERS, "observation at 'arm/0' is not in"),
    ],
    ids=["a key", "classes", "pixels", "no dict"],
)
def test_other_spaces_are_named_by_path(recorded, message):
    with pytest.raises(DataError, match=message):
        chunks(Given(episode(NESTED), spaces=recorded), of=NESTED)


def test_bounds_and_additional_keys_may_differ():
    more = changed(NESTED.observation, more=spaces.Discrete(2))
    action = changed(NESTED.action, push=spaces.Box(-9.0, 9.0, (2,), np.float32))
    assert len(chunks(Given(episode(NESTED), spaces=Spaces(more, action)), of=NESTED)) == 1


def test_episodes_that_do_not_fit_are_skipped_only_if_asked(caplog):
    bad = episode(rewards=np.full(5, np.nan), source="row 3")
    with pytest.raises(DataError, match="row 3"):
        chunks(Given(episode(), bad))
    found = chunks(Given(bad, episode(), bad, episode()), skip_damaged=True)
    assert [chunk.start for chunk in found] == [0, 6]
    assert caplog.text.count("row 3") == 2


@pytest.mark.parametrize("clip", [False, True])
def test_observations_are_clipped_if_asked(clip, caplog):
    observations = np.zeros((6, 3), np.float32)
    observations[2] = [-7, 0.5, 3]
    data = Given(episode(observations=observations))
    (found,) = chunks(data, clip_observations=clip)
    expected = [-1, 0.5, 1] if clip else [-7, 0.5, 3]
    np.testing.assert_array_equal(found.columns["obs/vector"][2], expected)
    assert "An observation of somewhere was -7 in element 0" in caplog.text


def test_masks_are_part_of_the_records():
    masked = Spaces(
        spaces.Dict(x=gym.spaces.Box(0, 1, (2,)), action_mask=spaces.MultiBinary(4)),
        spaces.Discrete(4),
    )
    codecs = make_codecs(*masked)
    mask = np.ones((6, 4), np.int8)
    mask[0, 1] = 0
    observations = {"x": np.zeros((6, 2), np.float32), "action_mask": mask}
    (chunk,) = chunks_of([Given(episode(masked, observations=observations))], *codecs, latents={})
    np.testing.assert_array_equal(chunk.columns["action_mask"], mask)
    observations["action_mask"] = np.zeros((6, 4), np.int8)
    with pytest.raises(DataError, match="mask"):
        list(chunks_of([Given(episode(masked, observations=observations))], *codecs, latents={}))
