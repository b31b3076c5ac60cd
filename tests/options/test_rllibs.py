"""RLlib's own options: each works, is refused with what to do, or is said to change nothing."""

import functools
import logging
from collections.abc import Callable
from typing import ClassVar

import gymnasium as gym
import numpy as np
import pytest
import ray
from gymnasium import spaces
from packaging.version import Version
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo.ppo_learner import PPOLearner
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from tiny import tiny_config

from rllib_dreamerv3 import DreamerV3Config
from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.rllibs import SUPPORTED, users_name
from rllib_dreamerv3.options.rllibs_refused import IDLE, REFUSED
from rllib_dreamerv3.options.table import OPTIONS
from rllib_dreamerv3.plugin.config import rllib_options
from rllib_dreamerv3.plugin.learners.learner import DreamerV3Learner
from rllib_dreamerv3.plugin.learners.rl_module import DreamerV3RLModule
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner
from rllib_dreamerv3.plugin.sampling.episodes import clip_rewards
from rllib_dreamerv3.records import ACTION, ACTION_MASK, IS_FIRST, IS_LAST, REWARD, RecordChunk

# Defaults that are classes, or RLlib's to say.
NOT_IN_THE_TABLE = {"algo_class", "env_runner_cls", "callbacks_class", "stats_cls_lookup"}

# Options in the tables that older versions of Ray do not have.
OF_NEWER_RAY = {"use_env_runner_state_server", "env_runner_state_server_max_concurrency"}
if Version(ray.__version__) < Version("2.60"):
    LACKING = OF_NEWER_RAY - vars(AlgorithmConfig()).keys()
else:
    LACKING = set()


def test_every_attribute_of_rllibs_config_stands_in_one_table():
    """Fails when a version of Ray brings an attribute, or takes one away."""
    rllibs = vars(AlgorithmConfig()).keys() - OPTIONS.keys()
    tables = [*SUPPORTED, *REFUSED, *IDLE]
    assert set(tables) - LACKING == rllibs
    assert len(tables) == len(set(tables))


def test_defaults_are_what_a_config_holds_and_pass():
    config = vars(DreamerV3Config())
    for name, row in SUPPORTED.items():
        row.check(config[name])
        if name not in NOT_IN_THE_TABLE:
            assert config[name] == row.v1, name


def set_and_validate(**values):
    config = tiny_config()
    for name, value in values.items():
        setattr(config, name, value)
    config.validate()


def test_refused_options_say_what_to_do():
    for name in REFUSED.keys() - LACKING:
        sentence = REFUSED[name]
        value = {"one", "two"} if name == "policies" else "something else"
        with pytest.raises(ConfigError) as info:
            set_and_validate(**{name: value})
        message = str(info.value)
        assert message.startswith(f"{users_name(name)}: "), name
        assert message.endswith(sentence), name
        assert len(message) < 400, name


def test_defaults_of_rllib_ask_for_nothing():
    defaults = AlgorithmConfig()
    for name in REFUSED.keys() - LACKING:
        # Each for itself, so that a refusal names the option.
        set_and_validate(**{name: getattr(defaults, name)})


def wrong_values(row):
    """Values that a row of the table does not allow."""
    if row.kind in (type, Callable):
        return [1, [1]]
    if row.kind in (int, float):
        below = [] if row.least is None and row.above is None else [(row.least or 0) - 1]
        return ["2", *below, float("nan")]
    return ["foo", 7]


CHECKED = [name for name, row in SUPPORTED.items() if "what RLlib" not in row.words]


def test_honoured_options_say_what_they_may_be():
    for name in CHECKED:
        row = SUPPORTED[name]
        for value in wrong_values(row) if row.kind is not str else ():
            with pytest.raises(ConfigError) as info:
                set_and_validate(**{name: value})
            assert str(info.value).startswith(f"{users_name(name)} must be {row.words}, not ")


def test_a_frozen_config_cannot_be_changed():
    config = tiny_config()
    config.training(horizon_H=3)
    config.freeze()
    with pytest.raises(AttributeError, match="frozen"):
        config.training(horizon_H=4)
    assert config.horizon_H == 3
    config.copy(copy_frozen=False).training(horizon_H=4)


@pytest.mark.parametrize(
    "values",
    [
        {"clip_rewards": True},
        {"clip_rewards": False},
        {"clip_rewards": 1},
        {"rollout_fragment_length": "auto"},
        {"evaluation_interval": 0},
        {"num_cpus_per_learner": 2.5},
        {"gym_env_vectorize_mode": gym.VectorizeMode.ASYNC},
        {"seed": np.int64(3)},
        {"callbacks_on_episode_end": [print, repr]},
        {"callbacks_class": [RLlibCallback, RLlibCallback]},
        {"clip_actions": True},
    ],
    ids=str,
)
def test_values_that_are_allowed(values):
    set_and_validate(**values)


def test_configs_that_were_validated_copied_or_made_from_others_pass():
    config = tiny_config()
    config.validate()
    config.validate()
    config.copy().validate()
    config.get_evaluation_config_object().validate()
    DreamerV3Config().update_from_dict(config.to_dict()).validate()
    DreamerV3Config.from_state(config.get_state()).validate()


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("training", {"replay_buffer_config": None}, "replay_buffer_config must be a mapping"),
        ("environment", {"env_config": "x"}, "env_config must be a mapping of options, not 'x'"),
        ("environment", {"env_config": None}, "env_config must be a mapping of options, not None"),
        ("evaluation", {"evaluation_config": [1]}, "evaluation_config must be a mapping"),
    ],
)
def test_what_has_to_be_a_mapping_says_so(method, options, words):
    with pytest.raises(ConfigError, match=words):
        getattr(tiny_config(), method)(**options)
    with pytest.raises(ConfigError, match=words):
        tiny_config().update_from_dict(options)


def test_evaluation_has_no_other_networks():
    config = tiny_config().evaluation(evaluation_config={"model_size": "XS"})
    with pytest.raises(ConfigError, match="evaluation_config cannot have 'model_size'"):
        config.validate()


def test_misplaced_options_of_replay_are_reported():
    with pytest.raises(ConfigError, match="'capacity': set it in replay_buffer_config"):
        DreamerV3Config().update_from_dict({"capacity": 3})
    with pytest.raises(ConfigError, match="'capacity': set it in replay_buffer_config"):
        DreamerV3Config().training(capacity=3)


def test_refused_options_are_named_all_at_once():
    with pytest.raises(ConfigError, match=r"(?s)num_epochs: 3 is not.*grad_clip: 0.5 is not"):
        tiny_config().training(num_epochs=3, grad_clip=0.5).validate()


def test_misspelt_attribute_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'modle_size'. Did you mean 'model_size'"):
        set_and_validate(modle_size="S")


def test_attributes_of_a_subclass_are_its_own():
    class OwnConfig(DreamerV3Config):
        def __init__(self, algo_class=None):
            super().__init__(algo_class)
            self.curriculum = "easy"

    OwnConfig().environment("CartPole-v1").validate()


def test_idle_option_is_logged_once(caplog):
    rllib_options._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, logger=rllib_options.__name__):
        for _ in range(2):
            set_and_validate(episodes_to_numpy=False, log_sys_usage=False)
    lines = [
        f"{name} has no effect with DreamerV3: {IDLE[name]}"
        for name in ("episodes_to_numpy", "log_sys_usage")
    ]
    assert caplog.messages == lines


def with_module_class(module_class, **options):
    return RLModuleSpec(module_class=module_class, **options)


class OwnModule(DreamerV3RLModule):
    """A module class of a user's own."""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.api_stack(False, False), "enable_rl_module_and_learner must be true.*api_sta"),
        (
            lambda c: c.learners(learner_class=object),
            "learner_class must be a subclass of.*Dreamer",
        ),
        (lambda c: c.learners(learner_class=PPOLearner), "learner_class must be a subclass of"),
        (lambda c: c.env_runners(env_runner_cls=object), "env_runner_cls must be a subclass of"),
        (lambda c: c.callbacks(object), "callbacks must be a subclass of ray.*RLlibCallback"),
        (lambda c: c.callbacks([RLlibCallback, object]), "callbacks must be a subclass of"),
        (lambda c: c.framework("torch"), "framework must be 'tf2', not 'torch'.*leave"),
        (
            lambda c: c.rl_module(rl_module_spec=with_module_class(object)),
            "module_class of rl_module_spec must be a subclass of .*DreamerV3RLModule",
        ),
        (
            lambda c: c.rl_module(rl_module_spec=with_module_class(OwnModule, model_config={})),
            r"Give it to .rl_module\(model_config",
        ),
        (
            lambda c: c.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs={})),
            "RLModuleSpec of one module",
        ),
        (lambda c: c.rl_module(model_config={"x": 1}), "set model_size"),
        (
            lambda c: c.rl_module(
                rl_module_spec=with_module_class(OwnModule), model_config={"seed": 1}
            ),
            r"the keys \['seed'\]",
        ),
    ],
)
def test_classes_that_are_not_ours_are_refused(change, words):
    config = tiny_config()
    change(config)
    with pytest.raises(ConfigError, match=words):
        config.validate()


def test_subclasses_of_ours_are_taken():
    class OwnRunner(DreamerV3EnvRunner):
        pass

    class OwnLearner(DreamerV3Learner):
        pass

    config = tiny_config().learners(learner_class=OwnLearner)
    config.rl_module(rl_module_spec=with_module_class(OwnModule), model_config={"x": 1})
    config.env_runners(env_runner_cls=OwnRunner)
    config.validate()
    runner = OwnRunner(config=config, worker_index=0)
    assert isinstance(runner.module, OwnModule)
    assert runner.module.model_config["x"] == 1
    runner.stop()


def test_rewards_are_clipped_in_a_copy():
    raw = np.array([0.0, -2.5, 0.25, 7.0], np.float32)
    chunk = RecordChunk("stream", 3, {REWARD: raw, IS_FIRST: np.zeros(4, bool)})
    for clip, expected in [
        (None, [0, -2.5, 0.25, 7]),
        (False, [0, -2.5, 0.25, 7]),
        (True, [0, -1, 1, 1]),
        (1, [0, -1, 0.25, 1]),
        (2.5, [0, -2.5, 0.25, 2.5]),
    ]:
        clipped = clip_rewards(chunk, clip)
        assert clipped.columns[REWARD].tolist() == expected, clip
        assert clipped.columns[REWARD].dtype == np.float32
        assert (clipped.stream, clipped.start) == ("stream", 3)
    assert raw.tolist() == [0, -2.5, 0.25, 7]


class Bandit(gym.Env):
    """Five arms of which three are allowed; a reward of 10, and an end after four steps."""

    action_space = spaces.Discrete(5)

    def __init__(self, mask_key="legal"):
        self.mask_key, self.taken = mask_key, 0
        self.observation_space = spaces.Dict(
            {"seen": spaces.Box(-1, 1, (2,), np.float32), mask_key: spaces.MultiBinary(5)}
        )

    def observe(self):
        return {"seen": np.zeros(2, np.float32), self.mask_key: np.array([0, 1, 1, 0, 1], np.int8)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken = 0
        return self.observe(), {}

    def step(self, action):
        assert action in (1, 2, 4), f"{action} is forbidden"
        self.taken += 1
        return self.observe(), 10.0, self.taken == 4, False, {}


gym.register("Bandit-v0", Bandit)


def sampled(config, **arguments):
    runner = DreamerV3EnvRunner(config=config, worker_index=0)
    chunks = runner.sample(**arguments)
    runner.stop()
    return chunks


def test_action_mask_has_the_name_that_the_config_gives_it():
    """The environment raises for an action that is forbidden."""
    config = tiny_config("Bandit-v0").environment(action_mask_key="legal")
    config.validate()
    for arguments in ({"random_actions": True}, {}):
        (chunk,) = sampled(config, num_records=60, **arguments)
        assert set(chunk.columns) >= {"obs/seen", ACTION_MASK}
        assert "obs/legal" not in chunk.columns
        acted = chunk.columns[ACTION][~chunk.columns[IS_LAST]]
        assert set(acted.argmax(-1)) == {1, 2, 4}


@pytest.mark.parametrize(
    ("env", "options", "words"),
    [
        ("Bandit-v0", {"action_mask_key": "mask"}, r"'mask', but .* keys \['legal', 'seen'\]"),
        ("CartPole-v1", {"action_mask_key": "legal"}, r"'legal', but .* not a Dict"),
        (
            "CartPole-v1",
            {"observation_space": spaces.Box(-1, 1, (3,), np.float32)},
            r"observation_space is Box.*\(3,\).*but Box.*\(4,\).*'CartPole-v1'",
        ),
        ("CartPole-v1", {"action_space": spaces.Discrete(3)}, r"action_space is Discrete\(3\)"),
    ],
)
def test_spaces_that_the_environment_does_not_have_are_refused(env, options, words):
    config = tiny_config(env).environment(**options)
    config.validate()
    with pytest.raises(ConfigError, match=words):
        DreamerV3EnvRunner(config=config, worker_index=0)


def test_spaces_that_the_environment_has_are_taken():
    env = gym.make("CartPole-v1")
    config = tiny_config().environment(
        observation_space=env.observation_space, action_space=env.action_space
    )
    assert sampled(config)


def test_rollout_fragments_of_auto_length_are_one_step():
    config = tiny_config().env_runners(rollout_fragment_length="auto", num_envs_per_env_runner=2)
    assert [len(chunk) for chunk in sampled(config)] == [1, 1]


class Recorder(gym.Env):
    """Keeps the actions it is given, in bounds that are not those of the networks."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(2, 6, (1,), np.float32)
    actions: ClassVar[list[float]] = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.actions.append(float(action[0]))
        return np.zeros(1, np.float32), 0.0, False, False, {}


@functools.cache
def recorder_id():
    gym.register("Recorder-v0", Recorder)
    return "Recorder-v0"


def recorded_actions(**options):
    config = tiny_config(recorder_id()).environment(**options)
    config.validate()
    Recorder.actions.clear()
    for arguments in ({"random_actions": True}, {}):
        sampled(config, num_records=200, **arguments)
    return Recorder.actions


@pytest.mark.parametrize("clip_actions", [False, True])
def test_actions_are_scaled_into_the_bounds_whether_clipped_or_not(clip_actions):
    actions = recorded_actions(clip_actions=clip_actions)
    assert 2 <= min(actions) < 2.5
    assert 5.5 < max(actions) <= 6


def test_actions_that_are_not_normalized_reach_the_environment_unscaled():
    actions = recorded_actions(normalize_actions=False)
    assert -1 <= min(actions) < -0.8
    assert 0.8 < max(actions) <= 1


def test_actions_that_are_clipped_only_reach_the_bounds():
    assert set(recorded_actions(normalize_actions=False, clip_actions=True)) == {2.0}


def test_training_sees_clipped_rewards_and_results_report_those_that_came():
    config = tiny_config("Bandit-v0").environment(action_mask_key="legal", clip_rewards=True)
    algorithm = config.build_algo()
    result = algorithm.train()
    batch, _ = algorithm.replay_buffer.sample(8)
    algorithm.stop()
    assert set(np.unique(batch[REWARD])) == {0.0, 1.0}
    assert result["env_runners"]["episode_return_mean"] == 40
