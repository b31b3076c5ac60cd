"""policy.json notices its own damage."""

import json

import pytest

from rllib_dreamerv3.portable.described import (
    FORMAT,
    FORMAT_VERSION,
    described_as_text,
    read_described,
)

DESCRIBED = {"format": FORMAT, "format_version": FORMAT_VERSION, "mode": "mode", "low": [-1.5]}


def written(directory, text):
    (directory / "policy.json").write_text(text)
    return directory


def test_it_comes_back(tmp_path):
    assert read_described(written(tmp_path, described_as_text(DESCRIBED))) == DESCRIBED


@pytest.mark.parametrize("change", [("-1.5", "-2.5"), ('"mode": "mode"', '"mode": "Mode"')])
def test_what_was_changed_is_noticed(tmp_path, change):
    text = described_as_text(DESCRIBED)
    assert change[0] in text
    with pytest.raises(ValueError, match=r"policy\.json is damaged: its checksum does not"):
        read_described(written(tmp_path, text.replace(*change)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "rll', r"policy\.json is damaged.*Export the policy again"),
        ("[]", "not an exported policy"),
        (json.dumps(DESCRIBED), "is damaged"),
        (described_as_text(DESCRIBED | {"format_version": 1}), "format 1; .* reads format 2"),
    ],
)
def test_unreadable_descriptions_are_reported(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_described(written(tmp_path, text))
    with pytest.raises(ValueError, match=r"nowhere is not an .* has no policy\.json"):
        read_described(tmp_path / "nowhere")
