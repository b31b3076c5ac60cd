"""``rllib check-env``: what there is to know of an environment before training in it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rllib_cli.display import Display, open_display, whole
from rllib_cli.errors import InputError, RunError, told_as
from rllib_cli.quiet import loading_libraries

if TYPE_CHECKING:
    import gymnasium as gym

    from rllib_cli.env_check import Findings
    from rllib_dreamerv3.spaces.codecs import ActionCodec, ObservationCodec


def check_environment(
    env: str, env_config: Mapping[str, Any], config: Mapping[str, Any], verbosity: int
) -> int:
    """Tries an environment and prints what was found.

    Args:
        env: Its name, as ``--env`` takes it.
        env_config: Its options.
        config: Options of DreamerV3, of which some decide what the model sees.
        verbosity: From 1 on, errors come with their traceback.

    Returns:
        The exit code: 1 if something is wrong, else 0.

    Raises:
        InputError: If there is no such environment, or an option is wrong.
        RunError: If it cannot be made.
    """
    with open_display(plain=verbosity > 0) as display:
        display.wait("loading TensorFlow")
        with told_as(RunError, verbosity), loading_libraries(verbosity):
            from rllib_cli import env_check
            from rllib_dreamerv3 import DreamerV3Config
        with told_as(InputError, verbosity):
            settings = DreamerV3Config().update_from_dict(dict(config))
            settings.environment(env, env_config=dict(env_config)).validate()
        display.wait("")
        display.say(f"Checking {env}")
        try:
            made, is_benchmark = _make(env, settings.env_config)
        except Exception as error:
            raise RunError(
                f"{env} cannot be made with env_config {dict(env_config)}: "
                f"{type(error).__name__}: {error} {env_check.place_of(error)}"
            ) from error
        findings = env_check.Findings()
        cnn = settings.model_settings().cnn
        codecs = env_check.read_spaces(made, settings.image_size, cnn, findings)
        if codecs is not None:
            env_check.take_random_steps(made, codecs, findings)
            env_check.compare_ranges(codecs[0], findings)
            if not is_benchmark:
                env_check.run_gymnasiums_checker(made, findings)
        return report(display, codecs, findings)


def report(
    display: Display,
    codecs: "tuple[ObservationCodec, ActionCodec] | None",
    findings: "Findings",
) -> int:
    """Prints spaces, steps, notes and what is wrong.

    Args:
        display: Where to print.
        codecs: The spaces as the model sees them; None if it cannot.
        findings: What was found out.

    Returns:
        The exit code.
    """
    from rllib_cli.env_check import in_words

    if codecs is not None:
        display.say("\nWhat the model sees of an observation:")
        for line in _observations(codecs[0], findings):
            display.say(f"  {line}")
        display.say(f"What it decides, a vector of {codecs[1].layout.size}:")
        for line in _actions(codecs[1]):
            display.say(f"  {line}")
    if findings.rewards:
        steps = len(findings.rewards)
        speed = whole(round(steps / findings.seconds)) if findings.seconds else "-"
        rewards = in_words(findings.rewards)
        episodes = f"{len(findings.returns)} episodes ended"
        if findings.returns:
            episodes += f", with returns {in_words(findings.returns)}"
        display.say(f"{steps} random steps: {speed} a second, rewards {rewards}; {episodes}")
    for note in findings.notes:
        display.say(f"\nNote: {note}")
    sentences = findings.sentences()
    for sentence in sentences:
        display.say(f"\nWrong: {sentence}")
    many = "1 thing is" if len(sentences) == 1 else f"{len(sentences)} things are"
    display.say(f"\n{many} wrong." if sentences else "\nNothing is wrong.")
    return 1 if sentences else 0


def _observations(codec: "ObservationCodec", findings: "Findings") -> Iterator[str]:
    from gymnasium import spaces

    from rllib_cli.env_check import in_words
    from rllib_dreamerv3.spaces.action_masks import split_action_mask
    from rllib_dreamerv3.spaces.layout import Categorical, Image
    from rllib_dreamerv3.spaces.nesting import leaves

    observed, mask = split_action_mask(codec.space)
    named = leaves(observed, "observation space")
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
        told = f", seen {in_words((seen[0].min(), seen[1].max()))}" if seen else ""
        yield f"{leaf.key}: {what}; declared {in_words((low, high))}{told}"
    if mask is not None:
        yield "action_mask: which choices are allowed; not observed"


def _actions(codec: "ActionCodec") -> Iterator[str]:
    from rllib_dreamerv3.spaces.layout import DiscreteAction

    for leaf in codec.layout.leaves:
        if isinstance(leaf, DiscreteAction):
            yield f"one of {leaf.n} choices"
        else:
            yield f"{leaf.size} numbers" if leaf.size > 1 else "1 number"


def _make(env: str, env_config: Mapping[str, Any]) -> "tuple[gym.Env, bool]":
    """The environment, and whether it comes from this package."""
    from ray.rllib.env.env_context import EnvContext

    from rllib_cli.env_check import FirstOf
    from rllib_dreamerv3.envs.registry import is_benchmark, make_benchmark
    from rllib_dreamerv3.plugin.sampling.environments import is_registered_with_tune, make_single

    if is_benchmark(env) and not is_registered_with_tune(env):
        return FirstOf(make_benchmark(env, 1, env_config)), True
    return make_single(env, EnvContext(dict(env_config), worker_index=0)), False
