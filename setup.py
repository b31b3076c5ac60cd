"""Entry point for setuptools; metadata and settings are in pyproject.toml."""

from setuptools import setup

setup()
