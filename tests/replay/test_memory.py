"""Too large a replay buffer is refused at the start, with the options to set."""

import re

import pytest

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.replay.memory import ReplayNeed, check_space

GB = 10**9
ATARI = ReplayNeed(capacity=5_000_000, record_bytes=12_300, capacity_bytes=None, share_bytes=12_300)


@pytest.mark.parametrize("share_bytes", [12_300, 11_000])
def test_what_cannot_fit_is_refused_with_what_would(share_bytes):
    need = ATARI._replace(share_bytes=share_bytes)
    with pytest.raises(ConfigError) as error:
        check_space(need, 23 * GB)
    message = str(error.value)
    assert f"{need.bytes / GB:.1f} GB (5,000,000 records of" in message
    assert "this machine has 23.0 GB" in message
    # Columns on disk are there already; and a limit on bytes counts them too.
    assert ('"storage": "disk"' in message) == (share_bytes == 12_300)
    (fits,) = re.findall(r'"capacity_bytes": ([\d_]+)', message)
    (records,) = re.findall(r"at most ([\d_]+) records", message)
    for key, value in {"capacity_bytes": int(fits), "capacity": int(records)}.items():
        bounded = need._replace(**{key: value})
        assert 0.69 * 23 * GB < bounded.bytes < 0.7 * 23 * GB
        assert not check_space(bounded, 23 * GB)


def test_scarce_memory_is_reported():
    need = ReplayNeed(1_000_000, 10_000, None, 10_000)
    assert not check_space(need, 20 * GB)
    assert check_space(need, 12 * GB)
    assert not check_space(need._replace(capacity_bytes=8 * GB), 12 * GB)


def test_message_counts_the_records_that_fit():
    need = ReplayNeed(1_000_000, 10_000, 5 * GB, 8_000)
    assert "up to 4.00 GB (500,000 records of 8 KB)" in need.describe(8 * GB)


def test_a_disk_without_room_is_refused_too(tmp_path):
    with pytest.raises(ConfigError) as error:
        check_space(ATARI, 10 * GB, tmp_path)
    assert f"{tmp_path} has room for 10.0 GB" in str(error.value)
    assert "storage" not in str(error.value)
