"""Experiments in YAML and Python files."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rllib_cli import example_files, stop_criteria
from rllib_cli.errors import InputError, describe
from rllib_cli.experiments import Experiment, from_mapping, has_recorded_data
from rllib_cli.inputs import extend_import_path
from rllib_cli.libraries import loading_libraries
from rllib_dreamerv3.errors import suggestion


class _Loader(yaml.SafeLoader):
    """YAML without Python objects, but with ``3e-4`` as a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def from_file(
    path: str, verbosity: int = 0, env: str | None = None, *, has_data: bool = False
) -> list[Experiment]:
    """Read the experiments of a YAML file, or the one of a Python file.

    Args:
        path: A local file, or the name of a tuned example. Reading a YAML file executes nothing:
            environments (``module:Name-v0``, ``module:Class``) and callbacks are imported when the
            experiment starts. A Python file is executed here.
        verbosity: Whether to show the libraries' messages while a Python file is executed.
        env: Replaces the environment of the file.
        has_data: Whether recorded data is given, which makes an environment optional.

    Returns:
        The experiments in the order of the file.

    Raises:
        InputError: If the file cannot be read or its content is wrong.
    """
    if "://" in path:
        raise InputError(f"{path} is a URL; download the file, read it, and give its path.")
    file = Path(path).expanduser()
    if not file.is_file():
        found = example_files.find(path)
        if found is None:
            names = [name for name, _ in example_files.summaries()]
            raise InputError(
                f"There is no file {path}, and no tuned example of this name (rllib example list). "
                f"{suggestion(file.stem, names)}"
            )
        file = found
    if file.suffix in (".yaml", ".yml"):
        return _from_yaml(file, env, has_data)
    if file.suffix == ".py":
        return [_from_python(file, verbosity, env, has_data)]
    raise InputError(f"{path} is neither a YAML file (.yaml, .yml) nor a Python file (.py).")


def _from_yaml(file: Path, env: str | None, has_data: bool) -> list[Experiment]:
    content = read_yaml(file)
    if not isinstance(content, dict) or not content:
        raise InputError(
            f"{file} describes no experiment; expected `NAME: {{run: DreamerV3, ...}}`."
        )
    experiments = []
    for name, spec in content.items():
        try:
            experiments.append(from_mapping(str(name), spec, env, has_data=has_data))
        except InputError as exc:
            raise InputError(f"{file}: experiment {str(name)!r}: {exc.message}") from exc
    return experiments


def read_yaml(file: Path) -> Any:
    """Read a YAML file without executing anything.

    Args:
        file: The file.

    Returns:
        Its content as plain data.

    Raises:
        InputError: If the file cannot be read, is not YAML, or repeats a key, in which case YAML
            would silently drop the first one; names the line.
    """
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            for what, line, before in _repeated(node):
                raise InputError(
                    f"{file}, line {line}: {what} is a duplicate of line {before}; only one of "
                    "them would be used. Remove or rename one."
                )
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(exc, "problem", None) or str(exc)
        raise InputError(f"{file}{where}: not valid YAML ({what}).") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{file} cannot be read: {describe(exc)}") from exc


def _repeated(top: yaml.Node | None) -> Iterator[tuple[str, int, int]]:
    """Yield each repeated key with its line and the line of its first occurrence."""
    waiting, seen = [top], set()
    while waiting:
        node = waiting.pop()
        # Every alias leads to its anchor's node.
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                waiting.append(value)
                if isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    if key.value in lines:
                        kind = "experiment" if node is top else "key"
                        yield f"the {kind} {key.value!r}", line, lines[key.value]
                    lines[key.value] = line


def _from_python(file: Path, verbosity: int, env: str | None, has_data: bool) -> Experiment:
    """Execute the file and read ``config`` (an ``AlgorithmConfig``) and ``stop`` (optional)."""
    import importlib.util

    with loading_libraries(verbosity):
        import rllib_dreamerv3.plugin  # noqa: F401  before the file imports RLlib
    from ray import cloudpickle

    spec = importlib.util.spec_from_file_location(_module_name(file), file.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # Other processes cannot import this module, so its definitions are pickled with the config.
    # Registered before it is executed, since register_env pickles at once.
    cloudpickle.register_pickle_by_value(module)
    # Lets the file and Ray's processes import modules beside it.
    extend_import_path([file.resolve().parent])
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        line = _line_in(exc, file)
        raise InputError(f"{file}{line} failed: {describe(exc)}") from exc

    from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

    config = getattr(module, "config", None)
    if not isinstance(config, AlgorithmConfig):
        raise InputError(f"{file} must define `config`, a DreamerV3Config.")
    stop = getattr(module, "stop", {})
    if not isinstance(stop, dict):
        raise InputError(f"{file}: `stop` must be a dict, not {stop!r}.")
    notes: list[str] = []
    algorithm = config.algo_class
    if algorithm is None:
        raise InputError(f"{file}: `config` has no algorithm; use DreamerV3Config().")
    if env:
        config.environment(env)
    if not (config.env or has_data or has_recorded_data(config.to_dict())):
        raise InputError(
            f"{file}: `config` names no environment: DreamerV3Config().environment(...), or --env "
            "NAME."
        )
    return Experiment(
        name=file.stem,
        algorithm=algorithm,
        config=config.to_dict(),
        stop=stop_criteria.criteria(stop, notes),
        notes=tuple(notes),
    )


def _module_name(file: Path) -> str:
    """The file's importable name, unless another module has that name."""
    import importlib.util

    name = file.stem
    if name.isidentifier() and name not in sys.modules:
        found = importlib.util.find_spec(name)
        if found is None or found.origin == str(file.resolve()):
            return name
    return f"experiment_{name}"


def _line_in(exc: BaseException, file: Path) -> str:
    """``", line 7"``: the last line of ``file`` in the traceback."""
    line, trace = "", exc.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == file.resolve():
            line = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return line
