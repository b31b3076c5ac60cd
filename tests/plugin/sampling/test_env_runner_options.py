"""What RLlib's options change in an env runner: its environments, its records, its callbacks."""

import sys
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.env_context import EnvContext
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import (
    CallbackFailedError,
    ConfigError,
    EnvironmentDataError,
    EnvironmentFailedError,
)
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.episode_callbacks import RecentEpisode
from rllib_dreamerv3.records import ACTION, IS_FIRST, IS_LAST

STEPS = 5


class FiveSteps(gym.Env):
    """Episodes of five steps; keeps what it was made with."""

    observation_space = gym.spaces.Box(0, 1, (2,), np.float32)
    action_space = gym.spaces.Discrete(4)
    made_with: ClassVar[list[EnvContext]] = []

    def __init__(self, config):
        self.made_with.append(config)
        self.t = 0

    def observe(self):
        return self.np_random.random(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observe(), {"t": 0}

    def step(self, action):
        self.t += 1
        return self.observe(), 1.0, self.t == STEPS, False, {"t": self.t}


@pytest.fixture
def make():
    """Makes env runners of a config, and stops them at the end of the test."""
    FiveSteps.made_with.clear()
    made = []

    def make_one(config, worker_index=0):
        made.append(DreamerV3EnvRunner(config=config, worker_index=worker_index))
        return made[-1]

    yield make_one
    for runner in made:
        runner.stop()


def test_env_config_reaches_each_environment(make):
    config = tiny_config(FiveSteps).environment(env_config={"wind": 3})
    make(config.env_runners(num_envs_per_env_runner=2))
    assert FiveSteps.made_with == [{"wind": 3}, {"wind": 3}]
    assert [context.vector_index for context in FiveSteps.made_with] == [0, 1]


def render_modes(config, worker_index):
    FiveSteps.made_with.clear()
    DreamerV3EnvRunner(config=config, worker_index=worker_index).stop()
    return [context.get("render_mode") for context in FiveSteps.made_with]


def test_the_first_env_runner_of_training_shows_its_environments():
    config = tiny_config(FiveSteps)
    assert render_modes(config, 0) == [None]
    config.environment(render_env=True).env_runners(num_envs_per_env_runner=2)
    assert render_modes(config, 0) == ["human", "human"]
    remote = config.copy().env_runners(num_env_runners=2, create_env_on_local_worker=True)
    assert [render_modes(remote, i)[0] for i in range(3)] == [None, "human", None]
    evaluation = config.get_evaluation_config_object()
    assert evaluation.in_evaluation
    assert render_modes(evaluation, 0) == [None, None]
    config.environment(env_config={"render_mode": "rgb_array"})
    assert render_modes(config, 0) == ["rgb_array", "rgb_array"]


def test_what_cannot_be_shown_says_so(make, caplog):
    shown = tiny_config("crafter/CrafterReward-v1").environment(render_env=True)
    with pytest.raises(ConfigError, match=r"render_mode.*Crafter.*not shown in a window"):
        shown.validate()
    gym.register("FiveSteps-v0", lambda: FiveSteps({}))
    shown = tiny_config("FiveSteps-v0").environment(render_env=True)
    shown.validate()
    with pytest.raises(EnvironmentFailedError, match=r"Making FiveSteps-v0 .*render_mode"):
        make(shown)
    assert "render_env" not in caplog.text


@pytest.mark.parametrize(
    ("mode", "kind"), [("sync", SyncVectorEnv), ("async", AsyncVectorEnv)], ids=str
)
def test_environments_are_stepped_in_turn_or_in_processes(make, mode, kind):
    config = tiny_config().env_runners(num_envs_per_env_runner=2, gym_env_vectorize_mode=mode)
    assert type(make(config).env.unwrapped) is kind


@pytest.mark.parametrize(("envs", "length"), [(1, 7), (3, 4)])
def test_one_call_samples_a_fragment_of_each_environment(make, envs, length):
    config = tiny_config(FiveSteps).env_runners(
        num_envs_per_env_runner=envs, rollout_fragment_length=length
    )
    assert [len(chunk) for chunk in make(config).sample(random_actions=True)] == [length] * envs


def test_one_call_samples_until_episodes_have_ended_and_the_next_goes_on(make):
    """Last records come with the first of the next call: sequences need to know both."""
    config = tiny_config(FiveSteps).env_runners(batch_mode="complete_episodes")
    runner = make(config)
    assert len(runner.sample(random_actions=True)[0]) == STEPS
    assert len(runner.take_done_episodes()) == 1
    (chunk,) = runner.sample(random_actions=True)
    assert len(runner.take_done_episodes()) == 1
    assert chunk.start == STEPS
    assert chunk.columns[IS_LAST].tolist() == [True] + STEPS * [False]
    assert chunk.columns[IS_FIRST].tolist() == [False, True] + (STEPS - 1) * [False]


@pytest.mark.parametrize("explore", [True, False])
def test_without_exploration_the_action_of_evaluation_is_taken(make, explore):
    config = tiny_config(FiveSteps).evaluation(evaluation_action="mode")
    runner = make(config.env_runners(explore=explore))
    state = runner.module.get_state()
    # All actions are about equally likely, the third a bit more so.
    state["actor/outputs/0/0/kernel"] *= 0
    state["actor/outputs/0/0/bias"] = np.array([0, 0, 0.1, 0], np.float32)
    runner.module.set_state(state)
    (chunk,) = runner.sample(num_records=100)
    actions = chunk.columns[ACTION][~chunk.columns[IS_LAST]].argmax(-1)
    assert set(actions) == ({0, 1, 2, 3} if explore else {2})


def drawn(runner):
    (chunk,) = runner.sample(num_records=12, random_actions=True)
    (name,) = (column for column in chunk.columns if column.startswith("obs/"))
    weights = [x.tolist() for x in runner.module.get_state().values() if x.std() > 0]
    return chunk.columns[name].tolist(), chunk.columns[ACTION].tolist(), weights


def test_the_seed_decides_environments_networks_and_noise(make):
    first, again, other = (
        drawn(make(tiny_config(FiveSteps).debugging(seed=seed))) for seed in (5, 5, 6)
    )
    assert first == again
    for mine, others in zip(first, other, strict=True):
        assert mine != others


class Noted(RLlibCallback):
    """A callback class that notes each call of its one method."""

    calls: ClassVar[list[str]] = []

    def on_episode_start(self, **arguments):
        self.calls.append("start")


EVENTS = ("created", "start", "step", "end")


def test_callbacks_of_env_runners_are_called_in_time_with_what_rllib_documents(make):
    """Lists of functions, too; arguments beside those that RLlib's callback class names."""
    seen = []

    def note(event):
        return lambda **arguments: seen.append((event, arguments))

    config = tiny_config(FiveSteps).environment(env_config={"wind": 3})
    config.callbacks(
        Noted,
        on_environment_created=note("environment"),
        on_sample_end=[note("sample"), note("sample again")],
        **{f"on_episode_{event}": note(event) for event in EVENTS},
    )
    Noted.calls.clear()
    runner = make(config)
    ((event, made),) = seen
    assert event == "environment"
    assert made["env_runner"] is runner
    assert made["metrics_logger"] is runner.metrics
    assert made["env"] is runner.env.unwrapped
    assert made["env_context"] == {"wind": 3}
    assert made["env_context"].worker_index == 0

    seen.clear()
    # An episode, and the first record of the next.
    chunks = runner.sample(num_records=STEPS + 1, random_actions=True)
    assert [event for event, _ in seen] == [
        "created",
        "start",
        *STEPS * ["step"],
        "end",
        "created",
        "start",
        "sample",
        "sample again",
    ]
    assert Noted.calls == ["start", "start"]
    for event, arguments in seen:
        assert arguments["env_runner"] is runner
        assert arguments["metrics_logger"] is runner.metrics
        if event in EVENTS:
            assert isinstance(arguments["episode"], RecentEpisode)
            assert arguments["env"] is runner.env.unwrapped
            assert isinstance(arguments["rl_module"], DreamerV3RLModule)
            assert arguments["env_index"] == 0
    ends = [arguments for event, arguments in seen if event == "end"]
    assert ends[0]["prev_episode_chunks"] == []
    assert ends[0]["episode"].get_return() == STEPS
    assert seen[-1][1]["samples"] is chunks


@pytest.mark.parametrize("event", ["episode_start", "episode_step", "episode_end", "sample_end"])
def test_a_callback_that_raises_is_reported_with_its_lines(make, event):
    def goal_of(**arguments):
        return {}["goal"]

    runner = make(tiny_config(FiveSteps).callbacks(**{f"on_{event}": goal_of}))
    with pytest.raises(CallbackFailedError) as caught:
        runner.sample(num_episodes=1, random_actions=True)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"The callback on_{event} failed: KeyError: 'goal'"
    assert lines[1].endswith("in goal_of")
    assert lines[2:] == ['    return {}["goal"]']


def test_a_callback_that_exits_is_reported(make):
    runner = make(tiny_config(FiveSteps).callbacks(on_episode_end=lambda **_: sys.exit("enough")))
    with pytest.raises(CallbackFailedError, match="on_episode_end failed: SystemExit: enough"):
        runner.sample(num_episodes=1, random_actions=True)


def test_a_list_of_callback_classes_is_called_one_after_the_other(make):
    class Second(Noted):
        def on_episode_start(self, **arguments):
            self.calls.append("second start")

    Noted.calls.clear()
    make(tiny_config(FiveSteps).callbacks([Noted, Second])).sample(
        num_records=1, random_actions=True
    )
    assert Noted.calls == ["start", "second start"]


@pytest.mark.parametrize("given", ["FiveSteps-v1", FiveSteps, lambda config: FiveSteps(config)])
def test_the_environment_is_made_by_what_it_is_named(make, given):
    if isinstance(given, str):
        gym.register(given, lambda: FiveSteps({}))
    runner = make(DreamerV3Config().update_from_dict(tiny_config(given).to_dict()))
    assert type(runner.env.unwrapped.envs[0].unwrapped) is FiveSteps


class OwnVector(SyncVectorEnv):
    """A vector environment with Gymnasium's arguments."""

    def __init__(self, num_envs, size=1, max_episode_steps=None):
        super().__init__([lambda: FiveSteps(None)] * num_envs)
        self.size = size


def takes_rllibs_config(config):
    return OwnVector(**config)


def with_num_envs(num_envs=1, **options):
    return OwnVector(num_envs, **options)


@pytest.mark.parametrize(
    "env",
    ["OwnVector-v0", OwnVector, takes_rllibs_config, with_num_envs],
    ids=lambda env: getattr(env, "__name__", env),
)
def test_vector_environments_are_made_as_they_are_registered(make, env):
    gym.register("OwnVector-v0", vector_entry_point=OwnVector, max_episode_steps=9)
    config = tiny_config(env).environment(env_config={"size": 7})
    config.env_runners(num_envs_per_env_runner=3, gym_env_vectorize_mode="vector_entry_point")
    runner = make(config)
    assert (runner.num_envs, runner.env.unwrapped.size) == (3, 7)
    assert len(runner.sample(num_records=3)) == 3


@pytest.mark.parametrize(
    ("env", "mode", "says"),
    [
        (FiveSteps, "vector_entry_point", "leave the option out for a single environment"),
        ("FrozenLake-v1", "vector_entry_point", "doesn't have a vector entry point"),
        ("OwnVector-v0", "sync", r"^OwnVector-v0 is .* vector environment only .*: set gym_env_v"),
    ],
)
def test_the_wrong_kind_of_environment_is_reported(make, env, mode, says):
    gym.register("OwnVector-v0", vector_entry_point=OwnVector)
    config = tiny_config(env).env_runners(gym_env_vectorize_mode=mode)
    with pytest.raises((EnvironmentDataError, EnvironmentFailedError), match=says):
        make(config)
