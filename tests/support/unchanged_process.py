"""The command changes its process, as it may; the next test must not notice."""

import logging
import os
import sys

import pytest


@pytest.fixture(autouse=True)
def unchanged_process(monkeypatch, tmp_path):
    """Runs in an empty directory, and puts environment, import path and log levels back."""
    environment, path = dict(os.environ), list(sys.path)
    loggers = [logging.getLogger(name) for name in ("ray", "ray.rllib", "ray.tune.tune", "absl")]
    levels = [logger.level for logger in loggers]
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
