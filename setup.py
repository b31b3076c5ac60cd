"""Packages the tuned examples with the command; metadata and settings are in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["rllib_dreamerv3*", "rllib_cli*"]),
        "rllib_cli.tuned_examples",
    ],
    # The folder stays where people look for it.
    package_dir={"rllib_cli.tuned_examples": "tuned_examples"},
)
