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
    with pytest.raises(ValueError, match=r"policy\.json is damaged: it has another checksum"):
        read_described(written(tmp_path, text.replace(*change)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"format": "rll', r"policy\.json is damaged.*Export the policy again"),
        ("[]", "not an exported policy"),
        (json.dumps(DESCRIBED), "is damaged"),
        (described_as_text(DESCRIBED | {"format_version": 1}), "format version 1; .* reads 2"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, text, told):
    with pytest.raises(ValueError, match=told):
        read_described(written(tmp_path, text))
    with pytest.raises(ValueError, match=r"There is no policy\.json in .*nowhere"):
        read_described(tmp_path / "nowhere")
