"""The command runs in the process of these tests."""

from unchanged_process import unchanged_process  # noqa: F401 (a fixture of every test here)
