"""What both sides of a comparison are given."""

import argparse

import numpy as np
import pytest
from peers.workloads import (
    SPACES,
    add_sampling_arguments,
    add_training_arguments,
    add_update_arguments,
    as_arguments,
    random_records,
    split_name,
)


def test_names() -> None:
    assert split_name("image-1M") == ("image", "1m")
    for wrong in ("vector", "vector-", "sound-xs", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="vector-SIZE"):
            split_name(wrong)


@pytest.mark.parametrize("name", SPACES)
def test_records(name: str) -> None:
    spaces = SPACES[name]
    records = random_records(spaces, rows=3, length=50)
    assert records["observation"].shape == (3, 50, *spaces.observation)
    assert records["observation"].dtype == (np.uint8 if spaces.is_image else np.float32)
    assert records["action"].shape == (3, 50, spaces.actions)
    if not spaces.continuous:
        assert (records["action"].sum(-1) == 1).all()
    assert records["is_first"][:, 0].all()
    # Episodes end right before the next one begins.
    assert records["is_first"][:, 1:].any()
    np.testing.assert_array_equal(records["is_first"][:, 1:], records["is_last"][:, :-1])
    again = random_records(spaces, rows=3, length=50)
    assert all((records[key] == again[key]).all() for key in records)


@pytest.mark.parametrize(
    "add", [add_update_arguments, add_sampling_arguments, add_training_arguments]
)
def test_options_reach_the_other_process(add) -> None:
    parser = argparse.ArgumentParser()
    add(parser)
    names = vars(parser.parse_args([])).keys()
    given = parser.parse_args(["--threads=7"])
    assert parser.parse_args(as_arguments(given, names)) == given
