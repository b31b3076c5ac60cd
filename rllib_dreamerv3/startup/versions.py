"""Versions of this package and of what it runs on."""

import platform
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement
from packaging.version import Version

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


def untried_ray() -> str | None:
    """Compare the installed Ray with the versions that this package was tried with.

    Returns:
        A message if it is newer or older; None if it was tried, or this package is not installed
        as a distribution.
    """
    try:
        needed = [Requirement(line) for line in requires(_PACKAGES[0]) or ()]
    except PackageNotFoundError:
        return None
    tried = next(one.specifier for one in needed if one.name == "ray" and one.marker is None)
    ray = version("ray")
    # A nightly version of a tried release is one of its candidates.
    if tried.contains(Version(ray).base_version):
        return None
    versions = ",".join(sorted(map(str, tried), reverse=True))
    return (
        f"Ray {ray} has not been tried with this package. If something fails, install one that "
        f"has: pip install 'ray[rllib]{versions}'"
    )
