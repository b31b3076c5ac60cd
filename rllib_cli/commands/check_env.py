"""``rllib check-env``: tests an environment and shows its spaces as the model sees them."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from rllib_cli.errors import InputError, RunError, reraise_as
from rllib_cli.inputs import JSON, env_config, extend_import_path, pythonpath
from rllib_cli.libraries import loading_libraries
from rllib_dreamerv3.errors import EnvironmentDataError

if TYPE_CHECKING:
    import gymnasium as gym

    from rllib_cli.display import Display
    from rllib_cli.env_probe import Findings
    from rllib_dreamerv3 import DreamerV3Config
    from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec


@click.command("check-env")
@click.argument("env")
@env_config
@pythonpath
@click.option(
    "--config",
    type=JSON,
    default="{}",
    help="Options of the model, e.g. model_size and image_size.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def check_env(
    env: str,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    config: dict[str, Any],
    verbosity: int,
) -> None:
    """Test the environment ENV, an id or module:Class, before training.

    Runs Gymnasium's checker and 200 random steps, and shows the spaces as the model sees them. The
    exit code is 1 if something is wrong.
    """
    extend_import_path(pythonpath, [env, config])
    sys.exit(check_environment(env, env_config or {}, config, verbosity))


def check_environment(
    env: str, env_config: Mapping[str, Any], config: Mapping[str, Any], verbosity: int
) -> int:
    """Test an environment and print the findings.

    Args:
        env: An id or ``module:Class``.
        env_config: Options of the environment.
        config: DreamerV3's config; some options change what the model sees.
        verbosity: From 1, print tracebacks of errors.

    Returns:
        The exit code: 1 if something is wrong, else 0.

    Raises:
        InputError: If there is no such environment, or an option is wrong.
        RunError: If the environment cannot be created.
    """
    from rllib_cli.display import open_display

    with open_display(plain=verbosity > 0) as display:
        display.set_phase("loading TensorFlow")
        with reraise_as(RunError, verbosity), loading_libraries(verbosity):
            from rllib_cli import env_probe
            from rllib_dreamerv3 import DreamerV3Config
        with reraise_as(InputError, verbosity):
            settings = DreamerV3Config().update_from_dict(dict(config))
            settings.environment(env, env_config=dict(env_config)).validate()
        display.set_phase("")
        display.print(f"Checking {env}")
        try:
            environment, is_vector = _make_environment(settings)
        except EnvironmentDataError as error:
            raise RunError(str(error)) from error
        except Exception as error:
            raise RunError(
                f"{env} cannot be created with env_config {dict(env_config)}: "
                f"{type(error).__name__}: {error} {env_probe.place_of(error)}"
            ) from error
        findings = env_probe.Findings()
        codecs = env_probe.read_spaces(environment, findings, **settings.codec_options())
        if codecs is not None:
            env_probe.take_random_steps(environment, codecs, findings)
            env_probe.compare_ranges(codecs[0], findings)
            if not is_vector:
                env_probe.run_gymnasiums_checker(environment, findings)
        return _report(display, codecs, findings)


def _report(
    display: "Display",
    codecs: "tuple[ObservationCodec, ActionCodec] | None",
    findings: "Findings",
) -> int:
    """Print spaces, steps, notes and errors; return the exit code."""
    from rllib_cli.display import format_int
    from rllib_cli.env_probe import format_range

    if codecs is not None:
        display.print("\nObservations as the model sees them:")
        for line in _observations(codecs[0], findings):
            display.print(f"  {line}")
        display.print(f"Actions, a vector of {codecs[1].layout.size}:")
        for line in _actions(codecs[1]):
            display.print(f"  {line}")
    if findings.rewards:
        steps = len(findings.rewards)
        speed = format_int(round(steps / findings.seconds)) if findings.seconds else "-"
        rewards = format_range(findings.rewards)
        episodes = f"{len(findings.returns)} episodes ended"
        if findings.returns:
            episodes += f", with returns {format_range(findings.returns)}"
        display.print(f"{steps} random steps: {speed} per second, rewards {rewards}; {episodes}")
    for note in findings.notes:
        display.print(f"\nNote: {note}")
    sentences = findings.sentences()
    for sentence in sentences:
        display.print(f"\nError: {sentence}")
    count = "1 error" if len(sentences) == 1 else f"{len(sentences)} errors"
    display.print(f"\n{count} found." if sentences else "\nNo errors found.")
    return 1 if sentences else 0


def _observations(codec: "ObservationCodec", findings: "Findings") -> Iterator[str]:
    from gymnasium import spaces

    from rllib_cli.env_probe import format_range
    from rllib_dreamerv3.spaces.layout import Categorical, Image
    from rllib_dreamerv3.spaces.nesting import leaves

    named = leaves(codec.observed, "observation space")
    for leaf, (_, space) in zip(codec.layout.leaves, named, strict=True):
        if isinstance(leaf, Categorical):
            sizes = ", ".join(str(n) for n in leaf.classes[:8])
            more = ", ..." if len(leaf.classes) > 8 else ""
            parts = f"{len(leaf.classes)} parts, each " if len(leaf.classes) > 1 else ""
            yield f"{leaf.key}: {parts}one of {sizes}{more} classes"
            continue
        assert isinstance(space, spaces.Box)
        if isinstance(leaf, Image):
            size = leaf.size_in_env
            what = f"image of {leaf.height}x{leaf.width}, {leaf.channels} channels"
            if size != (leaf.height, leaf.width):
                what += f", resized from {size[0]}x{size[1]}"
        else:
            what = f"{leaf.size} numbers" if leaf.size > 1 else "1 number"
        low, high = float(space.low.min()), float(space.high.max())
        seen = findings.seen.get(leaf.key)
        seen_range = f", seen {format_range((seen[0].min(), seen[1].max()))}" if seen else ""
        yield f"{leaf.key}: {what}; declared {format_range((low, high))}{seen_range}"
    if codec.observed is not codec.space:
        yield f"{codec.mask_key}: allowed actions; not part of the observation"


def _actions(codec: "ActionCodec") -> Iterator[str]:
    from rllib_dreamerv3.spaces.layout import DiscreteAction

    for leaf in codec.layout.leaves:
        if isinstance(leaf, DiscreteAction):
            yield f"one of {leaf.n} choices"
        else:
            yield f"{leaf.size} numbers" if leaf.size > 1 else "1 number"


def _make_environment(settings: "DreamerV3Config") -> "tuple[gym.Env, bool]":
    """Create one environment; also returns whether it is of a vector environment."""
    from rllib_cli.env_probe import FirstOf
    from rllib_dreamerv3.envs.registry import is_benchmark, make_benchmark
    from rllib_dreamerv3.plugin.sampling.environments import (
        env_context,
        is_registered_with_tune,
        make_single,
        make_vector,
    )

    env, context = settings.env, env_context(settings, 0)
    if is_benchmark(env) and not is_registered_with_tune(env):
        return FirstOf(make_benchmark(env, 1, context)), True
    if settings.gym_env_vectorize_mode == "vector_entry_point":
        return FirstOf(make_vector(env, 1, context)), True
    return make_single(env, context), False
