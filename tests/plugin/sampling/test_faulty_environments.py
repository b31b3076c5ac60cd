"""Each fault of an environment is reported once, in a few lines, before anything is stored."""

import re
from pathlib import Path

import gymnasium as gym
import pytest
from faulty_environments import FAULTS, Base
from gymnasium.spaces import Discrete
from tiny import tiny_config

from rllib_dreamerv3.errors import EnvironmentDataError, EnvironmentFailedError, SpaceError
from rllib_dreamerv3.plugin.sampling.env_runner import DreamerV3EnvRunner

MAX_LINES = 6


def sample(config, records):
    """With random actions: the policy would have to be compiled each time."""
    runner = DreamerV3EnvRunner(config=config, worker_index=0)
    return runner.sample(num_records=records, random_actions=True)


def message_of(env, vectorize_mode="sync"):
    """What the env runner says when it samples in an environment."""
    config = tiny_config(env).env_runners(
        num_envs_per_env_runner=2, gym_env_vectorize_mode=vectorize_mode
    )
    with pytest.raises((EnvironmentDataError, EnvironmentFailedError, SpaceError)) as caught:
        sample(config, 60)
    return str(caught.value)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_is_reported_in_a_few_lines(fault):
    message = message_of(fault.make)
    assert re.search(fault.says, message), message
    assert len(message.splitlines()) <= MAX_LINES


def test_the_page_shows_all_of_them():
    page = (Path(__file__).parents[3] / "docs" / "environment_errors.md").read_text()
    rows = re.findall(r"^\| (.*?) \| (.*) \|$", page, re.MULTILINE)[2:]
    for fault, (what, said) in zip(FAULTS, rows, strict=True):
        assert what == fault.what
        words = said.replace("<br>File", "\n  File")
        assert re.search(fault.says, words), f"{what}: run `make docs`"


def test_the_users_lines_are_shown_and_no_others():
    class Deep(Base):
        def step(self, action):
            return self.deeper({"start": 1})

        def deeper(self, places):
            return places["goal"]

    message = message_of(lambda env_config: Deep())
    assert re.fullmatch(
        r"step\(\) 1 of episode 1 of .*<lambda> failed: KeyError: 'goal'\n"
        r'  File "\S+test_faulty_environments.py", line \d+, in step\n'
        r'  File "\S+test_faulty_environments.py", line \d+, in deeper\n'
        r'    return places\["goal"\]',
        message,
    ), message


@pytest.mark.long
def test_processes_of_their_own_say_the_same():
    (fault,) = (fault for fault in FAULTS if fault.what == "step() raises")
    assert re.search(fault.says, message_of(fault.make, "async"))


def test_a_wrapper_of_gymnasium_that_stumbles_is_explained():
    """Its time limit takes the five values apart before anyone else sees them."""
    gym.register(
        "FourValues-v0", lambda: Base(step=lambda e: (0, 1.0, False, {})), max_episode_steps=9
    )
    message = message_of("FourValues-v0")
    assert "not enough values to unpack" in message
    assert "step() must return five values" in message


class TakesKeywords(Base):
    def __init__(self, size=3, *, goal):
        super().__init__()
        self.goal = goal


@pytest.mark.parametrize(
    ("make", "env_config"),
    [
        (TakesKeywords, {"goal": 2.0}),
        (lambda **options: Base(), {"goal": 2.0}),
        (lambda: Base(), {}),
        (lambda env_config: Base(), {"goal": 2.0}),
    ],
)
def test_classes_and_functions_are_called_as_they_are_meant(make, env_config):
    config = tiny_config(make).environment(env_config=env_config)
    assert DreamerV3EnvRunner(config=config, worker_index=0).num_envs == 1


def test_numbers_are_taken_as_gymnasium_takes_them():
    """Lists, Python's numbers and wider types are no faults."""
    for env in (
        Base(obs=lambda e: [0.0, 0.5, 1.0]),
        Base(obs=lambda e: e.np_random.uniform(-1, 1, 3)),
        Base(space=Discrete(3), obs=lambda e: 2, reward=1, terminated=False),
    ):
        config = tiny_config(lambda env_config, env=env: env)
        (chunk,) = sample(config, 30)
        assert len(chunk) == 30
