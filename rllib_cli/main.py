"""The ``rllib`` command: its grammar and nothing else."""

import sys
from collections.abc import Callable
from typing import Any, Literal

import click
from click.core import ParameterSource

from rllib_cli.command_options import JSON, env_config_option, pythonpath_option, run_options
from rllib_cli.errors import InputError


def _versions() -> str:
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    lines = []
    for name in ("rllib-dreamerv3", "ray", "tensorflow", "tensorflow-probability", "gymnasium"):
        try:
            number = version_of(name)
        except PackageNotFoundError:
            number = "not installed"
        lines.append(f"{name:24}{number}")
    return "\n".join([*lines, f"{'python':24}{platform.python_version()}"])


def _print_versions(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(_versions())
        ctx.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Print the versions of what matters here.",
)
def cli() -> None:
    """Train and evaluate RLlib algorithms from files or options."""


# Of click, for a paragraph whose lines stay as they are.
_AS_WRITTEN = "\b\n"
_TRAIN_HELP = f"""Train what a file describes, or what the options describe.

{_AS_WRITTEN}rllib train file tuned_examples/cartpole.yaml

{_AS_WRITTEN}rllib train --algo DreamerV3 --env CartPole-v1 \\
    --config '{{"model_size": "XS"}}' \\
    --stop '{{"env_runners/episode_return_mean": 450}}'
"""


@cli.group(invoke_without_command=True, subcommand_metavar="[file FILE]", help=_TRAIN_HELP)
@click.option("--algo", "--run", "-a", "-r", "algorithm", help="Algorithm, e.g. DreamerV3.")
@click.option("--config", type=JSON, default="{}", help="RLlib's config.")
@run_options
@click.pass_context
def train(ctx: click.Context, algorithm: str | None, config: dict[str, Any], **said: Any) -> None:
    """Train what a file describes, or what the options describe."""
    if ctx.invoked_subcommand:
        if any(
            ctx.get_parameter_source(name) is not ParameterSource.DEFAULT for name in ctx.params
        ):
            raise click.UsageError("Options go behind the file: rllib train file FILE [options].")
        return
    if not algorithm:
        raise click.UsageError("Give a file (rllib train file FILE) or an algorithm (--algo NAME).")
    from rllib_cli import experiments

    env = said.pop("env")
    opening = f"reading the options for {algorithm}"
    sys.exit(_train(lambda: [experiments.from_options(algorithm, env, config)], said, opening))


@train.command("file")
@click.argument("file")
@run_options
def train_file(file: str, **said: Any) -> None:
    """Train the experiments of FILE, one after the other.

    A YAML file holds experiments by name, each with the keys run, env, stop, config and more; a
    Python file defines `config`, a DreamerV3Config, and optionally `stop`. What options say wins
    over the file; stop criteria are merged.
    """
    from rllib_cli import experiments

    env = said.pop("env")
    sys.exit(
        _train(lambda: experiments.from_file(file, said["verbosity"], env), said, f"reading {file}")
    )


def _train(load: Callable[[], list[Any]], said: dict[str, Any], opening: str) -> int:
    from rllib_cli.display import open_display
    from rllib_cli.import_path import extend_import_path
    from rllib_cli.running import RunOptions, run_all
    from rllib_cli.stopping import in_words

    # Before anything of Ray or TensorFlow is loaded, which takes seconds.
    extend_import_path(said["pythonpath"])
    with open_display(plain=said["verbosity"] > 0) as display:
        display.wait(opening)
        experiments = load()
        if said["resume"] and said["from_checkpoint"]:
            raise InputError(
                "--resume goes on with a run, --from-checkpoint begins another: say one of them."
            )
        if said["experiment_name"] and len(experiments) > 1:
            raise InputError("--experiment-name fits one experiment; the file holds several.")
        checkpoint = {
            "checkpoint_every_min": said["checkpoint_every"],
            "checkpoint_frequency": said["checkpoint_freq"],
            "checkpoint_at_end": said["checkpoint_at_end"],
            "num_to_keep": said["keep_checkpoints_num"],
            "checkpoint_score_attribute": said["checkpoint_score_attr"],
        }
        experiments = [
            experiment.changed(
                name=said["experiment_name"],
                env_config=said["env_config"],
                stop=said["stop"],
                num_samples=said["num_samples"],
                storage_path=said["storage_path"],
                checkpoint={key: value for key, value in checkpoint.items() if value is not None},
            )
            for experiment in experiments
        ]
        for experiment in experiments:
            display.say(
                f"{experiment.algorithm_name} on {experiment.env_name}, "
                f"{in_words(experiment.stop)}; results in {experiment.directory()}"
            )
        ray_options = {
            "address": said["ray_address"],
            "num_cpus": said["ray_num_cpus"],
            "num_gpus": said["ray_num_gpus"],
            "object_store_memory": said["ray_object_store_memory"],
        }
        options = RunOptions(
            verbosity=said["verbosity"],
            resume=said["resume"],
            from_checkpoint=said["from_checkpoint"],
            scheduler=said["scheduler"],
            scheduler_config=said["scheduler_config"],
            ray={key: value for key, value in ray_options.items() if value is not None},
            pythonpath=tuple(said["pythonpath"]),
        )
        return run_all(experiments, options, display)


@cli.command()
@click.argument("checkpoint")
@click.option("--algo", "--run", "-a", "-r", "algorithm", help="Not needed: checkpoints say it.")
@click.option("--env", "-e", help="Environment to play in: an id, or module:Class.")
@env_config_option
@pythonpath_option
@click.option("--episodes", type=click.IntRange(1), help="Episodes to play (default: 10).")
@click.option("--steps", type=click.IntRange(1), help="Play at least so many steps instead.")
@click.option("--out", type=click.Path(dir_okay=False, writable=True), help="Write JSON here.")
@click.option("--render", is_flag=True, help="Show the environment.")
@click.option(
    "--action",
    type=click.Choice(["sample", "mode"]),
    help="Sample actions, or take the most likely one (default: as configured).",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def evaluate(
    checkpoint: str,
    algorithm: str | None,
    env: str | None,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    episodes: int | None,
    steps: int | None,
    out: str | None,
    render: bool,
    action: Literal["sample", "mode"] | None,
    verbosity: int,
) -> None:
    """Play episodes with CHECKPOINT and report their returns.

    CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest that is
    whole. Nothing of it is executed: an environment of your own is made if --env names it.
    """
    from rllib_cli.evaluating import evaluate_checkpoint
    from rllib_cli.import_path import extend_import_path

    extend_import_path(pythonpath)
    if algorithm not in (None, "DreamerV3"):
        raise InputError(f"Only checkpoints of DreamerV3 can be played, not of {algorithm}.")
    evaluate_checkpoint(
        checkpoint,
        env=env,
        env_config=env_config,
        episodes=episodes if episodes or steps else 10,
        steps=steps,
        out=out,
        render=render,
        action=action,
        verbosity=verbosity,
    )


@cli.command()
@click.argument("checkpoint")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="File that ends in .mp4, .gif or .png (default: dream.mp4; dream.png without images).",
)
@click.option("--rows", type=click.IntRange(1), default=4, help="Sequences (default: 4).")
@click.option(
    "--context",
    type=click.IntRange(1),
    default=5,
    help="Records of each that imagination sees (default: 5).",
)
@click.option("--length", type=click.IntRange(2), default=50, help="Records of each (default: 50).")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    help="Decides sequences and samples (default: 0).",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def dream(checkpoint: str, **said: Any) -> None:
    """Show what the world model of CHECKPOINT imagines of its own replay.

    Truth, reconstruction, imagination and error beside each other: a video of images, plots of
    numbers. CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest
    that is whole. Nothing of it is executed, and no environment is made.
    """
    from rllib_cli.dreaming import dream_of

    dream_of(checkpoint, **said)


@cli.command("check-env")
@click.argument("env")
@env_config_option
@pythonpath_option
@click.option(
    "--config",
    type=JSON,
    default="{}",
    help="Options that decide what the model sees: model_size, image_size and their like.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def check_env(
    env: str,
    env_config: dict[str, Any] | None,
    pythonpath: tuple[str, ...],
    config: dict[str, Any],
    verbosity: int,
) -> None:
    """Try ENV before training in it: an id, or module:Class.

    Runs Gymnasium's checker and 200 random steps, and shows the spaces as the model will see them.
    The exit code is 1 if something is wrong.
    """
    from rllib_cli.env_report import check_environment
    from rllib_cli.import_path import extend_import_path

    extend_import_path(pythonpath)
    sys.exit(check_environment(env, env_config or {}, config, verbosity))


@cli.command()
def version() -> None:
    """Print the versions of what matters here."""
    click.echo(_versions())


def main() -> None:
    """The console script."""
    try:
        cli(standalone_mode=False)
        code = 0
    except click.ClickException as exc:
        exc.show()
        code = exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
