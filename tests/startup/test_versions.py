"""A Ray that this package was not tried with is named; pip refuses it only when it installs."""

import re
from importlib.metadata import version

import pytest

from rllib_dreamerv3.startup import versions


def test_the_installed_ray_has_been_tried():
    assert versions.untried_ray() is None


@pytest.mark.parametrize("ray", ["2.56.0", "2.56.1", "2.60.0", "2.60.3", "2.60.0.dev0"])
def test_tried_versions(monkeypatch, ray):
    monkeypatch.setattr(versions, "version", lambda name: ray)
    assert versions.untried_ray() is None


@pytest.mark.parametrize("ray", ["2.55.1", "2.61.0", "3.0.0.dev0"])
def test_other_versions_are_named_with_what_to_install(monkeypatch, ray):
    monkeypatch.setattr(versions, "version", lambda name: ray)
    message = versions.untried_ray()
    assert message.startswith(f"Ray {ray} has not been tried with this package")
    (wanted,) = re.findall(r"pip install '(.*)'$", message)
    assert versions.Requirement(wanted).specifier.contains(version("ray"))
