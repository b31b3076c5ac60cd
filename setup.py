"""Packages the tuned examples with the command; metadata and settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

README = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
# An index shows the README without the files beside it: pictures go, links become their text.
_IMAGE = r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n?"
_LINK = r"\[([^\]]*)\]\((?!https?:|#)[^)]*\)"

setup(
    packages=[
        *find_packages(include=["rllib_dreamerv3*", "rllib_cli*"]),
        "rllib_cli.tuned_examples",
    ],
    # The folder stays where people look for it.
    package_dir={"rllib_cli.tuned_examples": "tuned_examples"},
    long_description=re.sub(_LINK, r"\1", re.sub(_IMAGE, "", README)),
    long_description_content_type="text/markdown",
)
