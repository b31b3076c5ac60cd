"""``rllib pretrained``, and the policies of the package in other commands."""

import json
from pathlib import Path

import gymnasium as gym
import pytest
from click.testing import CliRunner
from written_checkpoint import write_checkpoint

from rllib_cli.main import cli
from rllib_dreamerv3 import DreamEnv, load_policy
from rllib_dreamerv3.checkpoints import card, hub, manifest, pretrained
from rllib_dreamerv3.errors import CheckpointError

NAMES = pretrained.names()
MOST_BYTES = 300_000


def ran(*arguments):
    done = CliRunner().invoke(cli, [*map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """An untrained policy for CartPole, packed."""
    root = tmp_path_factory.mktemp("packed")
    spaces = gym.make("CartPole-v1")
    write_checkpoint(root / "whole", spaces.observation_space, spaces.action_space)
    command = ("--command", "rllib train it", "--commit", "abc")
    code, output = ran(
        *("pretrained", "pack", root / "whole", "--out", root / "shared"),
        *("--episodes", 2, "--seed", 3, "--action", "mode", *command),
    )
    assert code == 0, output
    return root / "shared", output


def test_the_list_has_every_policy_with_its_returns():
    code, output = ran("pretrained", "list", "--long")
    assert code == 0
    for name in NAMES:
        found = card.read(pretrained.directory_of(name))
        assert f"pretrained:{name} {found.env}" in output
        assert found.returns in output
        assert found.command in output


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_of_the_package_is_small_and_whole(name):
    directory = pretrained.directory_of(name)
    files = [file for file in directory.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert {file.suffix for file in files} == {".json", ".md", ".npy", ".safetensors"}
    manifest.verify(directory)
    found = card.read(directory)
    assert found.episodes >= 100
    assert found.command.startswith("rllib train file ")


def test_catch_is_played_for_twenty_steps():
    code, output = ran("evaluate", "pretrained:catch", "--steps", 20, "--seed", 1)
    assert code == 0, output
    assert "1 1 9 2 1 9 3 1 9 mean 1 9" in output


def test_a_policy_of_the_package_values_and_dreams():
    policy, dream = load_policy("pretrained:catch"), DreamEnv("pretrained:catch")
    observation, _ = dream.reset(seed=0)
    assert observation in policy.spaces.observation
    # No more than a caught ball.
    assert -1.2 < policy.value(observation) < 1.2


def test_a_dream_is_as_long_as_the_records_of_the_policy():
    code, output = ran("dream", "pretrained:catch", "--out", "dream.png")
    assert code == 0, output
    assert "dream.png: 1 x 30 steps, the first 5 of each sequence observed" in output


def test_other_commands_name_the_nearest_policy():
    for command in (["evaluate"], ["dream"], ["export", "-f", "onnx", "-o", "x"]):
        code, output = ran(*command, "pretrained:cathc")
        assert code == 1
        assert "Did you mean 'catch'?" in output


def test_a_card_says_what_was_packed_and_how_it_plays(packed):
    directory, output = packed
    found = card.read(directory)
    assert (found.env, found.episodes, found.seed, found.action) == ("CartPole-v1", 2, 3, "mode")
    assert load_policy(directory).mode == "mode"
    assert (found.command, found.commit, found.env_steps) == ("rllib train it", "abc", 40)
    again = ("--episodes", 2, "--seed", 3, "--out", "again.json")
    assert ran("evaluate", directory, *again)[0] == 0
    played = json.loads(Path("again.json").read_text())
    assert (found.return_mean, found.return_std) == (played["return_mean"], played["return_std"])
    page = (directory / card.README_FILE).read_text()
    assert page.startswith("---\nlibrary_name: rllib-dreamerv3\n")
    for words in (found.returns, found.command, "`abc`", "`CartPole-v1`"):
        assert words in page
        assert words.strip("`") in page
    assert found.returns in output


def test_the_hub_can_read_the_page_of_a_card(packed):
    library = pytest.importorskip("huggingface_hub", reason="needs it, the extra [hub]")
    data = library.ModelCard.load(packed[0] / card.README_FILE).data
    (result,) = data.eval_results
    assert (data.library_name, result.dataset_name) == ("rllib-dreamerv3", "CartPole-v1")
    assert result.metric_value == card.read(packed[0]).returns


def test_everything_packed_and_nothing_else_is_transferred(packed):
    utils = pytest.importorskip(
        "huggingface_hub.utils", reason="needs huggingface_hub, the extra [hub]"
    )
    directory = packed[0]
    files = {
        file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()
    }
    others = {"algorithm_state.pkl", "learner_group/state.pkl", "replay_buffer/x.pkl", "model.py"}
    up = utils.filter_repo_objects(files | others, allow_patterns=hub.UPLOADED_FILES)
    down = utils.filter_repo_objects(files | others, allow_patterns=hub.POLICY_FILES)
    assert set(up) == files
    assert set(down) == {*manifest.read(directory).files, manifest.MANIFEST}


def test_only_a_packed_policy_is_pushed(packed, tmp_path):
    directory, _ = packed
    code, output = ran("pretrained", "push", tmp_path, "hf://me/it")
    assert code == 1
    assert "rllib pretrained pack" in output
    code, output = ran("pretrained", "push", directory, "hf://it")
    assert code == 1
    assert "hf://owner/name" in output


def test_nothing_is_pushed_without_its_card(packed, tmp_path):
    copy = tmp_path / "copy"
    packed[0].rename(copy)
    try:
        (copy / card.CARD_FILE).rename(tmp_path / "card.json")
        code, output = ran("pretrained", "push", copy, "hf://me/it")
    finally:
        (tmp_path / "card.json").rename(copy / card.CARD_FILE)
        copy.rename(packed[0])
    assert code == 1
    assert "card.json" in output


def test_a_damaged_card_is_reported(packed, tmp_path):
    (tmp_path / card.CARD_FILE).write_text(json.dumps({"env": "CartPole-v1"}))
    with pytest.raises(CheckpointError, match=r"card\.json is damaged"):
        card.read(tmp_path)
