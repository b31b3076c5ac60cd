"""`rllib check-env` finds what is wrong with an environment, and shows what the model will see."""

import re

import gymnasium as gym
import numpy as np
import pytest
from click.testing import CliRunner
from faulty_environments import IMAGE, MASKED, NESTED, A, Base, Key
from gymnasium.spaces import Box, Dict, Discrete, Text

from rllib_cli import env_probe
from rllib_cli.main import cli


def findings_of(env, image_size=None):
    findings = env_probe.Findings()
    codecs = env_probe.read_spaces(env, findings, image_size=image_size)
    if codecs is not None:
        env_probe.take_random_steps(env, codecs, findings)
        env_probe.compare_ranges(codecs[0], findings)
        env_probe.run_gymnasiums_checker(env, findings)
    return findings


def fail(env):
    raise OSError("the motor is stuck")


HERE = r"\(\S*test_env_probe\.py, line \d+\)"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"obs": lambda e: np.zeros(4, np.float32)}, r"shape \(4,\); its space declares \(3,\)"),
        (
            {"obs": lambda e: np.full(3, 5.0, np.float32)},
            "element 0 of obs/vector is declared -1 to 1, but has values of 5 to 5",
        ),
        (
            {
                "space": Box(np.array([0, -9]), np.array([1, 9]), dtype=np.float64),
                "obs": lambda e: np.array([1.5, 1.5]),
            },
            "element 0 of obs/vector is declared 0 to 1, but has values of 1.5 to 1.5",
        ),
        ({"obs": lambda e: np.array([0, np.nan, 0], np.float32)}, "the observation holds NaN"),
        ({"obs": lambda e: np.array([0, np.inf, 0], np.float32)}, "the observation holds infinity"),
        ({"obs": lambda e: "abc"}, r"must be numbers of shape \(3,\), not 'abc'"),
        ({"obs": lambda e: None}, r"must be numbers of shape \(3,\), not None"),
        ({"obs": lambda e: [[1], [1, 2]]}, r"must be numbers of shape \(3,\), not a list"),
        ({"space": Discrete(3), "obs": lambda e: 7}, r"was 7, which Discrete\(3\) does not"),
        ({"space": Discrete(3), "obs": lambda e: 1.0}, r"was 1.0, which Discrete\(3\) does not"),
        ({"space": NESTED, "obs": lambda e: {"a": A}}, "lacks the key 'b', which its space"),
        (
            {"space": NESTED, "obs": lambda e: {"a": A, "b": (1, 1), "c": 1}},
            "has the key 'c', which its space does not declare",
        ),
        ({"space": NESTED, "obs": lambda e: {"a": A, "b": (1,)}}, "at 'b' must be a tuple of 2"),
        (
            {"space": NESTED, "obs": lambda e: {"a": A, "b": (1, 5)}},
            r"the observation at 'b/1' was 5, which Discrete\(2\)",
        ),
        ({"space": NESTED, "obs": lambda e: A}, "must be a dict with the keys 'a', 'b', not"),
        ({"space": Text(5), "obs": lambda e: "a"}, "Text spaces are not supported"),
        ({"space": 3}, "observation_space must be a space of Gymnasium, not 3"),
        ({"reward": [1.0]}, "the reward must be a number, not a list of 1"),
        (
            {"reward": np.ones(1)},
            r"the reward must be a number, not an array of shape \(1,\)",
        ),
        ({"reward": None}, "the reward must be a number, not None"),
        ({"reward": np.nan}, "the reward was nan"),
        ({"terminated": "no"}, "terminated must be True or False, not 'no'"),
        ({"info": None}, "info must be a dict, not None"),
        ({"step": lambda e: (A, 1.0, False, {})}, "must return five values .*a tuple of 4"),
        ({"reset": lambda e: e.obs(e)}, "reset.. must return two values.*an array of shape"),
        ({"step": fail}, rf"step\(\) 0 failed: OSError: the motor is stuck {HERE}"),
        ({"reset": fail}, rf"reset\(\) failed: OSError: the motor is stuck {HERE}"),
        (
            {
                "space": Box(-np.inf, np.inf, (64, 64, 3)),
                "obs": lambda e: np.full((64, 64, 3), 9.0),
            },
            r"image without bounds, assumed to be in \[0, 1\], but has values of 9 to 9",
        ),
        (
            {
                "space": MASKED,
                "obs": lambda e: {"x": A, "action_mask": np.zeros(2, np.int8)},
            },
            "allows no",
        ),
        (
            {"space": IMAGE, "obs": lambda e: np.full((64, 64, 3), 0.5)},
            r"float64; its space declares uint8: if its .*\(255 \* values\)\.astype\(np\.uint8\)",
        ),
        ({"space": Dict({(0, 1): Discrete(2)})}, r"the key \(0, 1\) cannot be written"),
        ({"space": Dict({1.5: Discrete(2)})}, r"the key 1\.5 cannot be written"),
    ],
)
def test_each_fault_is_one_sentence(fault, sentence):
    sentences = findings_of(Base(**fault)).sentences()
    assert len(sentences) == 1, sentences
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(sentences[0])
    assert "\n" not in sentences[0]


@pytest.mark.parametrize(
    ("numbers", "note"),
    [
        ([0.0, 0.01, 1.0], r"obs/vector\[1\] varied by 0\.01 or less"),
        ([0.02, 0.01, 0.03], r"obs/vector\[0\], \[1\], \[2\] varied by 0\.03 or less"),
        ([0.0, 0.05, 1.0], None),
    ],
)
def test_numbers_that_hardly_vary_are_noted(numbers, note):
    env = Base(obs=lambda e: np.array(numbers, np.float32) * e.np_random.integers(2))
    notes = [each for each in findings_of(env).notes if "varied by" in each]
    assert len(notes) == (note is not None)
    if note is not None:
        assert re.match(note, notes[0])


def test_repeated_problems_are_reported_once_with_the_first_step():
    def outside(env):
        return np.zeros(4 if env.time == 3 else 3, np.float32)

    (sentence,) = findings_of(Base(obs=outside)).sentences()
    assert sentence.endswith("(first at step 2, 10 times).")


def test_nothing_is_wrong_with_what_is_right():
    for env in (
        Base(),
        Base(reward=np.float32(1.0), terminated=np.False_),
        # Bounds are float32, and the nearest to 0.1 is above it.
        Base(space=Box(0.1, 0.3, (1,), np.float32), obs=lambda e: np.array([0.1], np.float32)),
        gym.make("CartPole-v1", disable_env_checker=True),
        gym.make("Taxi-v3", disable_env_checker=True),
    ):
        findings = findings_of(env)
        assert findings.sentences() == []
        assert len(findings.rewards) == 200
    assert (findings_of(Base()).seen["obs/vector"][1] > 0.9).all()


@pytest.mark.parametrize(
    ("space", "value", "note"),
    [
        (Box(-1, 1, (3,), np.float32), np.full(3, 0.5), "The observation has the dtype float64"),
        (Box(0.1, 1, (3,), np.float32), np.full(3, 0.1), "its space declares float32"),
        (Box(0, 9, (3,), np.int8), np.full(3, 4), r"Convert it with .astype(np.int8)"),
        (
            Dict({"x": Box(-1, 1, (2,)), "action_mask": Box(0, 1, (2,), np.int8)}),
            {"x": A, "action_mask": np.ones(2, np.int64)},
            "The observation at 'action_mask' has the dtype int64",
        ),
        (Box(-1, 1, (3,), np.float32), [0.0, 0.5, 1.0], None),
        (Discrete(2), np.bool_(True), None),
        (Dict({Key.CAMERA: Discrete(2)}), {Key.CAMERA: 1}, None),
        (Dict({np.int64(3): Discrete(2)}), {3: 1}, None),
    ],
)
def test_what_training_converts_is_at_most_a_note(space, value, note):
    findings = findings_of(Base(space=space, obs=lambda e: value))
    assert findings.sentences() == []
    conversions = [each for each in findings.notes if "training converts" in each]
    assert len(conversions) == (note is not None)
    assert note is None or note in conversions[0]


@pytest.mark.parametrize("key", ["action_mask", "legal"])
def test_masked_choices_are_not_taken(key):
    class Masked(Base):
        def step(self, action):
            assert action == 1
            return super().step(action)

    def obs(env):
        return {"x": A, key: np.array([0, 1], np.int8)}

    env = Masked(space=Dict({"x": MASKED["x"], key: MASKED["action_mask"]}), obs=obs)
    findings = env_probe.Findings()
    codecs = env_probe.read_spaces(env, findings, mask_key=key)
    env_probe.take_random_steps(env, codecs, findings)
    assert findings.sentences() == []


def test_what_only_looks_odd_is_a_note():
    def dark(env):
        return env.np_random.integers(0, 2, (64, 64, 3)).astype(np.uint8)

    findings = findings_of(Base(space=IMAGE, obs=dark, reward=0.0))
    assert findings.sentences() == []
    notes = "\n".join(findings.notes)
    assert "obs/image is declared 0 to 255, but only has values of 0 to 1" in notes
    assert "Every reward was 0" in notes


MODULE = """
import gymnasium as gym
import numpy as np

class Good(gym.Env):
    def __init__(self, height=90, reward=1.0):
        self.observation_space = gym.spaces.Box(0, 255, (height, 100, 3), np.uint8)
        self.action_space = gym.spaces.Dict(
            {"a": gym.spaces.Discrete(4), "b": gym.spaces.Box(-1.0, 1.0, (2,), np.float32)})
        self.reward = reward

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.integers(0, 256, self.observation_space.shape, np.uint8), {}

    def step(self, action):
        return self.observation_space.sample(), self.reward, False, False, {}

class Broken(Good):
    def __init__(self):
        raise RuntimeError("no licence")

class Turns:
    possible_agents = ["a", "b"]

class Several(gym.vector.SyncVectorEnv):
    def __init__(self, num_envs):
        super().__init__([Good] * num_envs)
"""


def test_the_command_shows_what_the_model_sees(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "to_check.py").write_text(MODULE)

    def call(*arguments):
        done = CliRunner().invoke(cli, ["check-env", *arguments, "--pythonpath", "elsewhere"])
        assert "Traceback" not in done.output
        return done.exit_code, done.output

    code, output = call("to_check:Good")
    assert code == 0, output
    for line in (
        "  obs/image: image of 64x64, 3 channels, resized from 90x100; declared 0 to 255, seen",
        "Actions, a vector of 6:\n  one of 4 choices\n  2 numbers\n",
        "200 random steps: ",
        "0 episodes ended",
        "No errors found.",
    ):
        assert line in output
    options = ("--env-config", '{"height": 64}', "--config", '{"image_size": 32}')
    code, output = call("to_check:Good", *options)
    assert "image of 32x32, 3 channels, resized from 64x100" in output
    code, output = call("to_check:Good", "--env-config", '{"reward": null}')
    assert code == 1
    assert "Error: the reward must be a number, not None (first at step 0, 200 times)." in output
    assert output.endswith("1 error found.\n")
    code, output = call("to_check:Broken")
    assert code == 1
    assert "RuntimeError: no licence" in output
    code, output = call("to_check:Turns")
    assert code == 1
    assert "a multi-agent environment; DreamerV3 trains a single agent" in output
    mode = '{"gym_env_vectorize_mode": "vector_entry_point"}'
    code, output = call("to_check:Several", "--config", mode)
    assert code == 0, output
    assert "200 random steps: " in output
    code, output = call("to_check:God")
    assert code == 2
    assert "Did you mean 'Good'?" in output
