"""Tries the supported versions: `nox` runs all, `nox --list` names them.

nox -s "tests-3.12(ray='2.60.0')"               # the fast tests on one pair
nox -s "tests-3.12(ray='2.60.0')" -- -m long    # with other arguments of pytest
nox -s wheel                                    # builds, installs and uses the wheel on all pairs
"""

import json
import tempfile
from pathlib import Path

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# The oldest and the newest that pyproject.toml allows.
RAYS = ("2.56.1", "2.60.0")
TINY = {
    "model_size": "nano",
    "batch_size_B": 2,
    "batch_length_T": 4,
    "training_ratio": 1,
    "num_steps_sampled_before_learning_starts": 64,
}

nox.options.sessions = ["lint", "docs", "wheel", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
@nox.parametrize("ray", RAYS)
def tests(session: nox.Session, ray: str) -> None:
    """Run the fast tests, or pytest with the given arguments."""
    session.install("-e", ".[test]", f"ray[rllib]=={ray}")
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session(python=PYTHONS)
def newest_ray(session: nox.Session) -> None:
    """Compare what is used of Ray's private parts with the newest Ray, whatever its version."""
    session.install("-e", ".[test]")
    session.install("--upgrade", "ray[rllib]")
    session.run("python", "-m", "pytest", "tests/test_ray_contract.py", *session.posargs)


@nox.session(python=PYTHONS)
@nox.parametrize("ray", RAYS)
def wheel(session: nox.Session, ray: str) -> None:
    """Build wheel and sdist, install the wheel, and use it from an empty directory."""
    # Not nox's own folder for temporary files, whose path is too long for Ray's sockets.
    with tempfile.TemporaryDirectory() as built, tempfile.TemporaryDirectory() as empty:
        session.install("build", "twine")
        session.run("python", "-m", "build", "--outdir", built)
        session.run("twine", "check", "--strict", *map(str, Path(built).iterdir()))
        (file,) = Path(built).glob("*.whl")
        session.install("--force-reinstall", "--no-deps", str(file))
        session.install(f"rllib-dreamerv3[export] @ {file.as_uri()}", f"ray[rllib]=={ray}")
        session.chdir(empty)
        _use(session)
        session.chdir(Path(__file__).parent)


def _use(session: nox.Session) -> None:
    """Train, evaluate, export and resume in the working directory."""
    config = ("--config", json.dumps(TINY))
    train = ("rllib", "train", "file", "cartpole.yaml", "--storage-path", ".")
    run = "cartpole-dreamerv3"
    session.run("rllib", "example", "list")
    session.run(*train, *config, "--stop", '{"num_env_steps_sampled_lifetime": 200}')
    session.run("rllib", "evaluate", run, "--episodes", "2")
    session.run("rllib", "export", run, "--format", "onnx", "--out", "exported")
    more = ("--stop", '{"num_env_steps_sampled_lifetime": 400}')
    session.run(*train, "--resume", *config, *more)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and contracts of imports."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache", "--no-logo")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documents as a site; broken links are errors."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--strict")
