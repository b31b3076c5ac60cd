"""Too large a replay buffer is refused at the start, in words that say what to set."""

import re

import pytest

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.replay.memory import ReplayNeed, check_room, machine_memory

GB = 10**9


def test_what_cannot_fit_is_refused_with_what_would():
    need = ReplayNeed(records=5_000_000, record_bytes=12_300, capacity_bytes=None)
    with pytest.raises(ConfigError) as error:
        check_room(need, 23 * GB)
    message = str(error.value)
    assert "61.5 GB (5,000,000 records of 12.3 KB); this machine has 23 GB" in message
    (fits,) = re.findall(r'"capacity_bytes": ([\d_]+)', message)
    assert not check_room(need._replace(capacity_bytes=int(fits)), 23 * GB)
    (records,) = re.findall(r"at most ([\d_]+) records", message)
    assert not check_room(need._replace(records=int(records)), 23 * GB)


def test_what_is_tight_is_told():
    need = ReplayNeed(records=1_000_000, record_bytes=10_000, capacity_bytes=None)
    assert not check_room(need, 20 * GB)
    assert check_room(need, 12 * GB)
    assert not check_room(need._replace(capacity_bytes=8 * GB), 12 * GB)


def test_words_count_what_fits():
    need = ReplayNeed(records=1_000_000, record_bytes=10_000, capacity_bytes=5 * GB)
    assert "up to 5 GB (500,000 records of 10 KB)" in need.in_words(8 * GB)


def test_the_machine_has_memory():
    assert GB // 10 < machine_memory() < 10**15


def test_a_disk_without_room_is_refused_too(tmp_path):
    need = ReplayNeed(records=5_000_000, record_bytes=12_300, capacity_bytes=None)
    with pytest.raises(ConfigError) as error:
        check_room(need, 10 * GB, tmp_path)
    assert f"{tmp_path} has room for 10 GB" in str(error.value)
    assert "storage" not in str(error.value)
    with pytest.raises(ConfigError, match='"storage": "disk"'):
        check_room(need, 10 * GB)
