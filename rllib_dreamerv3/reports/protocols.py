"""Tasks with published returns of every seed, and what their protocols prescribe.

A protocol is one published version of one task: its scores are in a file of ``reference/``, and its
options are those of a tuned example, which the caller reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from rllib_dreamerv3.envs.registry import options_of as env_options_of
from rllib_dreamerv3.errors import unknown_name
from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.option import Option
from rllib_dreamerv3.options.replay_sampling import fractions_of
from rllib_dreamerv3.options.table import SAMPLING, TRAINING
from rllib_dreamerv3.reports.published import Published, Suite, scores_of, suite_and_task

# Options without which a run is another experiment than the published one.
_PRESCRIBED = ("variant", "model_size", "training_ratio")
# Compared in another way, or without influence on what is learned; and the dtype, which depends on
# the machine here and was float16, float32 or bfloat16 for the authors.
_NOT_COMPARED = {*_PRESCRIBED, "replay_buffer_config", "max_records_ahead", "compute_dtype"}
# Options of RLlib or of checkpoints with which a run learns from other experience than its own.
_EXPERIENCE = ("start_checkpoint", "input_", "clip_rewards")
_ENV_THREADS = "num_threads"
_SMOOTHING = "metrics_num_episodes_for_smoothing"
# Default of DreamerV3Config.
_DEFAULT_SMOOTHING = 20


@dataclass(frozen=True)
class Benchmark:
    """A group of tasks with one protocol.

    Attributes:
        suite: Where its environments come from.
        prefix: Of the names of its tasks.
        variant: The published version.
        sizes: Model sizes whose runs may be judged; the published one is the first.
        example: Name of the tuned example with the protocol's options.
        file: File of the scores.
    """

    suite: Suite
    prefix: str
    variant: str
    sizes: tuple[str, ...]
    example: str
    file: str


# The scores from states are those of runs of the 2023 code in both years.
BENCHMARKS = (
    Benchmark("dm_control", "dmc_", "v1", ("S", "XS"), "dmc_proprio_v1", "dmc_proprio"),
    Benchmark("dm_control", "dmc_vision_", "v1", ("S", "XS"), "dmc_vision_v1", "dmc_vision_2023"),
    Benchmark("dm_control", "dmc_vision_", "v2", ("12M",), "dmc_vision", "dmc_vision_2025"),
    Benchmark("atari", "atari_", "v1", ("S", "XS"), "atari", "atari100k_2023"),
    Benchmark("atari", "atari_", "v2", ("200M",), "atari100k_v2", "atari100k_2025"),
)


@dataclass(frozen=True)
class Protocol:
    """One published version of one task.

    Attributes:
        task: The task's name, e.g. ``dmc_finger_spin``.
        env: The environment's id, e.g. ``dm_control/finger-spin-v0``.
        benchmark: What it has in common with other tasks.
        scores: The authors' returns.
    """

    task: str
    env: str
    benchmark: Benchmark
    scores: Published


@dataclass(frozen=True)
class Differences:
    """How the settings of a run differ from a protocol, as ``option VALUE instead of VALUE``.

    Attributes:
        forbidding: Differences that make it another experiment, which gets no verdict.
        others: Differences that are named beside the verdict.
    """

    forbidding: tuple[str, ...]
    others: tuple[str, ...]


def protocols() -> Iterator[Protocol]:
    """Yield all protocols, by benchmark and task."""
    for benchmark in BENCHMARKS:
        for task, scores in sorted(scores_of(benchmark.file).items()):
            env = _env_id(benchmark.suite, task)
            yield Protocol(f"{benchmark.prefix}{task}", env, benchmark, scores)


def protocols_of(task: str) -> list[Protocol]:
    """Find the protocols of a task: one for each published version.

    Args:
        task: Its name, or the id of its environment, which for the DeepMind Control Suite means
            the task from positions and velocities.

    Raises:
        ConfigError: If there is no such task; names the most similar one.
    """
    suite, name = suite_and_task(task)
    wanted = f"{'atari' if suite == 'atari' else 'dmc'}_{name}" if suite else task
    everything = list(protocols())
    found = [each for each in everything if each.task == wanted]
    if not found:
        names = {each.env if suite else each.task for each in everything}
        raise unknown_name("task", task, names)
    return found


def protocol_of_run(task: str, env: str, options: Mapping[str, Any]) -> Protocol | None:
    """Find the protocol that a run belongs to.

    Args:
        task: Name of a task.
        env: The run's environment.
        options: The run's options.

    Returns:
        The protocol of the run's variant, or the task's only one. None if the run has another
        environment, or other observations.
    """
    found = protocols_of(task)
    pixels = bool((options.get("env_config") or {}).get("pixels"))
    if suite_and_task(env) != suite_and_task(found[0].env) or pixels != _is_vision(found[0]):
        return None
    variant = _variant(options)
    return next((each for each in found if each.benchmark.variant == variant), found[0])


def task_of_run(env: str, options: Mapping[str, Any]) -> str | None:
    """Return the name of a run's task; None if it has no published returns."""
    for protocol in protocols():
        if protocol_of_run(protocol.task, env, options):
            return protocol.task
    return None


def differences(
    protocol: Protocol, prescribed: Mapping[str, Any], options: Mapping[str, Any]
) -> Differences:
    """Compare the settings of a run with those of a protocol.

    Args:
        protocol: The protocol.
        prescribed: Options of its tuned example; others have their defaults.
        options: Options of the run; others have their defaults.

    Returns:
        The differences. Between the variants, only those options differ that are set explicitly.

    Raises:
        ConfigError: If an option of the run's environment does not exist.
    """
    variant, sizes = _variant(options), protocol.benchmark.sizes
    size, ratio = options.get("model_size") or "XS", _value(TRAINING["training_ratio"], options)
    forbidding: list[str] = []
    others: list[str] = []
    if variant != protocol.benchmark.variant:
        forbidding.append(_difference("variant", variant, protocol.benchmark.variant))
    if size != sizes[0]:
        kind = others if size in sizes else forbidding
        kind.append(_difference("model_size", size, sizes[0]))
    if ratio != (theirs := _value(TRAINING["training_ratio"], prescribed)):
        forbidding.append(_difference("training_ratio", ratio, theirs))
    forbidding += _env_differences(protocol, prescribed, options)
    forbidding += _experience_differences(prescribed, options)
    forbidding += _smoothing(options)
    for name, row in {**TRAINING, **SAMPLING}.items():
        ours, theirs = (_value(row, x, variant) for x in (options, prescribed))
        if name not in _NOT_COMPARED and ours != theirs:
            others.append(_difference(name, ours, theirs))
    ours, theirs = environments(options), environments(prescribed)
    if ours != theirs:
        others.append(_difference("environments", ours, theirs))
    return Differences(tuple(forbidding), tuple(others))


def environments(options: Mapping[str, Any]) -> int:
    """Return the number of environments of a run, whose episodes may end at the same time."""
    runners, each = (
        options.get(name) or default
        for name, default in (("num_env_runners", 0), ("num_envs_per_env_runner", 1))
    )
    return max(1, runners) * each


def _env_differences(
    protocol: Protocol, prescribed: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[str]:
    ours, theirs = (
        env_options_of(protocol.env, each.get("env_config") or {}) for each in (options, prescribed)
    )
    for name in (field.name for field in fields(theirs)):
        if name != _ENV_THREADS and getattr(ours, name) != getattr(theirs, name):
            yield _difference(name, getattr(ours, name), getattr(theirs, name))


def _experience_differences(
    prescribed: Mapping[str, Any], options: Mapping[str, Any]
) -> Iterator[str]:
    for name in _EXPERIENCE:
        # RLlib's default of input_ is "sampler".
        ours, theirs = (
            None if each.get(name) == "sampler" else each.get(name) or None
            for each in (options, prescribed)
        )
        if ours != theirs:
            yield _difference(name, ours, theirs)
    ours, theirs = (
        (each.get("replay_buffer_config") or {}).get("sampling") or "uniform"
        for each in (options, prescribed)
    )
    if fractions_of(ours) != fractions_of(theirs):
        yield _difference("sampling", ours, theirs)


def _smoothing(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield why the reported returns are not those of the episodes that have just ended."""
    episodes, wanted = options.get(_SMOOTHING) or _DEFAULT_SMOOTHING, environments(options)
    if episodes != wanted:
        yield _difference(_SMOOTHING, episodes, wanted)


def _difference(name: str, ours: Any, theirs: Any) -> str:
    ours, theirs = (f"{x:g}" if isinstance(x, float) else str(x) for x in (ours, theirs))
    return f"{name} {ours} instead of {theirs}"


def _value(row: Option, options: Mapping[str, Any], variant: str = "v1") -> Any:
    value = options.get(row.name)
    return row.default(variant) if value is None else value


def _variant(options: Mapping[str, Any]) -> str:
    return variant_of(options.get("model_size") or "XS", options.get("variant"))


def _is_vision(protocol: Protocol) -> bool:
    return protocol.task.startswith("dmc_vision_")


def _env_id(suite: Suite, task: str) -> str:
    """``up_n_down`` -> ``ALE/UpNDown-v5``, ``finger_spin`` -> ``dm_control/finger-spin-v0``."""
    if suite == "atari":
        return f"ALE/{''.join(word.capitalize() for word in task.split('_'))}-v5"
    # The only domain whose name is not one word.
    domain = "ball_in_cup" if task.startswith("ball_in_cup_") else task.partition("_")[0]
    return f"dm_control/{domain}-{task.removeprefix(f'{domain}_')}-v0"
