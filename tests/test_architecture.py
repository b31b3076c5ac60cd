"""The two halves, and the layers of the core: by contract, and by really taking packages away."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "rllib_dreamerv3"

IMPORT_ALL = """
import sys, traceback
from importlib import import_module

blocked, modules = (argument.split(",") for argument in sys.argv[1:])

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is taken away", name=name)

sys.meta_path.insert(0, Blocker())
failed = []
for module in modules:
    try:
        import_module(module)
    except ImportError:
        failed.append(module)
        traceback.print_exc()
assert not set(blocked) & set(sys.modules)
sys.exit(f"Cannot be imported: {', '.join(failed)}" if failed else 0)
"""


def modules_in(*places):
    """All modules in folders or files of the package, by their full names."""
    files = [
        file
        for place in places
        for file in (
            [PACKAGE / place] if place.endswith(".py") else (PACKAGE / place).rglob("*.py")
        )
    ]
    names = [".".join(file.relative_to(REPOSITORY).with_suffix("").parts) for file in files]
    return sorted(name.removesuffix(".__init__") for name in names)


def import_all(modules, *, without):
    finished = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(without), ",".join(modules)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_contracts_are_kept():
    command = Path(sys.executable).with_name("lint-imports")
    finished = subprocess.run(
        [command, "--no-cache", "--no-logo"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_root_has_few_files():
    assert len([file for file in PACKAGE.iterdir() if file.is_file()]) <= 6


def test_the_core_needs_no_ray():
    core = [name for name in modules_in(".") if not name.startswith("rllib_dreamerv3.plugin")]
    assert len(core) > 50
    import_all(core, without=["ray"])


def test_records_replay_and_options_need_numpy_at_most():
    alone = modules_in(
        "__init__.py",
        "errors.py",
        "records.py",
        "spaces/layout.py",
        "replay",
        "checkpoints",
        "options",
    )
    assert len(alone) > 10
    import_all(alone, without=["ray", "tensorflow", "tensorflow_probability", "gymnasium"])
