"""Versions of this package and of what it runs on."""

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "rllib-dreamerv3",
    "ray",
    "tensorflow",
    "tensorflow-probability",
    "tf-keras",
    "gymnasium",
    "ale-py",
    "numpy",
)


def versions() -> dict[str, str]:
    """Return the version of each package, or "not installed"; import none of them."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "python": platform.python_version()}
