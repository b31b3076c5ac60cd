"""``rllib train``: its grammar."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import click
from click.core import ParameterSource

from rllib_cli.errors import InputError
from rllib_cli.inputs import JSON, env_config, extend_import_path, pythonpath

# What older versions of the command understood and this one has no use for, and why.
_OBSOLETE_FLAGS = {
    "--ray-ui": "the dashboard is started with `ray start`",
    "--no-ray-ui": "there is no dashboard unless `ray start` starts one",
    "--local-mode": "Ray has no local mode any more; num_env_runners: 0 samples in one process",
    "--trace": "TensorFlow functions are always traced",
    "--eager": "TensorFlow 2 is always eager outside its functions",
}
_OBSOLETE_VALUES = {
    "--ray-num-nodes": "use --ray-address to reach a cluster of several nodes",
    "--resources-per-trial": "resources follow from num_env_runners and its like in the config",
    "--upload-dir": "give --storage-path a URI",
    "--file-type": "the file's ending says what it is",
}


def _obsolete(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        option = param.opts[0]
        why = {**_OBSOLETE_FLAGS, **_OBSOLETE_VALUES}[option]
        click.echo(f"{option} has no effect: {why}.", err=True)


def _framework(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value not in (None, "tf2"):
        raise click.BadParameter(
            f"no {value}: this build is TensorFlow 2 only; use tf2, or nothing."
        )


def _service(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Checks that a service for experiments is installed, before anything is loaded."""
    option, package = param.opts[0], str(param.name)
    if name is not None and not name.strip():
        raise InputError(f"{option} needs a name, under which results are kept.")
    if name and find_spec(package) is None:
        raise InputError(
            f"{option} needs the package {package}, which is not installed: pip install {package}"
        )
    return name


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that both forms of ``train`` have."""
    options = [
        click.option("--stop", "-s", type=JSON, help="Stop criteria: number by result."),
        click.option("--env", "-e", help="Environment to train in: an id, or module:Class."),
        env_config,
        pythonpath,
        click.option("--experiment-name", "-n", help="Directory of the results."),
        click.option(
            "--num-samples", type=click.IntRange(1), help="Runs of every point of the grid."
        ),
        click.option(
            "--storage-path",
            "--local-dir",
            help="Directory or URI for all results (default: ~/ray_results).",
        ),
        click.option(
            "--checkpoint-every",
            type=click.FloatRange(min=0),
            metavar="MINUTES",
            help="Minutes between checkpoints (default: 10; 0: none).",
        ),
        click.option(
            "--checkpoint-freq",
            type=click.IntRange(0),
            help="Iterations between checkpoints (default: 0, by time alone).",
        ),
        click.option(
            "--checkpoint-at-end/--no-checkpoint-at-end",
            default=None,
            help="Whether to save when a trial ends (default: yes).",
        ),
        click.option(
            "--keep-checkpoints-num",
            type=click.IntRange(1),
            help="Keep only so many checkpoints (default: 2).",
        ),
        click.option(
            "--checkpoint-score-attr",
            help="Result by which the best checkpoints are kept; min-NAME: the smaller the better.",
        ),
        click.option(
            "--framework",
            type=click.Choice(["tf2", "tf", "torch"]),
            callback=_framework,
            expose_value=False,
            help="Only tf2 exists.",
        ),
        click.option("--ray-address", help="Address of a Ray cluster to run on."),
        click.option("--ray-num-cpus", type=int, help="CPUs that Ray may use."),
        click.option("--ray-num-gpus", type=int, help="GPUs that Ray may use."),
        click.option("--ray-object-store-memory", type=int, help="Bytes for Ray's object store."),
        click.option(
            "--resume", is_flag=True, help="Go on with the experiment of the same name and path."
        ),
        click.option(
            "--from-checkpoint",
            metavar="PATH",
            help="Begin a new run with the networks, replay and counters of a checkpoint.",
        ),
        click.option("--scheduler", default="fifo", help="Tune scheduler, e.g. asha."),
        click.option("--scheduler-config", type=JSON, help="Arguments of the scheduler."),
        click.option(
            "--wandb",
            metavar="PROJECT",
            callback=_service,
            help="Give the results to Weights & Biases, too.",
        ),
        click.option(
            "--mlflow", metavar="NAME", callback=_service, help="Give the results to MLflow, too."
        ),
        click.option("-v", "verbosity", count=True, help="Show the libraries' messages; -vv: all."),
        *(
            click.option(name, is_flag=True, hidden=True, expose_value=False, callback=_obsolete)
            for name in _OBSOLETE_FLAGS
        ),
        *(
            click.option(name, hidden=True, expose_value=False, callback=_obsolete)
            for name in _OBSOLETE_VALUES
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


# Of click, for a paragraph whose lines stay as they are.
_AS_WRITTEN = "\b\n"
_TRAIN_HELP = f"""Train what a file describes, or what the options describe.

{_AS_WRITTEN}rllib train file tuned_examples/cartpole.yaml

{_AS_WRITTEN}rllib train --algo DreamerV3 --env CartPole-v1 \\
    --config '{{"model_size": "XS"}}' \\
    --stop '{{"env_runners/episode_return_mean": 450}}'
"""


class _TrainGroup(click.Group):
    """Says what was forgotten before the name of a file."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0].endswith((".yaml", ".yml", ".py", ".json")):
            raise click.UsageError(f"Did you mean: rllib train file {args[0]}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_TrainGroup,
    invoke_without_command=True,
    subcommand_metavar="[file FILE]",
    help=_TRAIN_HELP,
)
@click.option("--algo", "--run", "-a", "-r", "algorithm", help="Algorithm, e.g. DreamerV3.")
@click.option("--config", type=JSON, default="{}", help="RLlib's config.")
@_run_options
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
    from rllib_cli.experiments import from_options

    env = said.pop("env")
    opening = f"reading the options for {algorithm}"
    sys.exit(_train(lambda: [from_options(algorithm, env, config)], said, opening))


@train.command("file")
@click.argument("file")
@_run_options
def train_file(file: str, **said: Any) -> None:
    """Train the experiments of FILE, one after the other.

    A YAML file holds experiments by name, each with the keys run, env, stop, config and more; a
    Python file defines `config`, a DreamerV3Config, and optionally `stop`. What options say wins
    over the file; stop criteria are merged.
    """
    from rllib_cli.experiment_files import from_file

    env = said.pop("env")
    sys.exit(_train(lambda: from_file(file, said["verbosity"], env), said, f"reading {file}"))


def _train(load: Callable[[], list[Any]], said: dict[str, Any], opening: str) -> int:
    from rllib_cli.display import open_display
    from rllib_cli.stop_criteria import in_words
    from rllib_cli.tune_run import RunOptions, run_all

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
            wandb=said["wandb"],
            mlflow=said["mlflow"],
        )
        return run_all(experiments, options, display)
