"""``rllib train``: options, and the experiments they describe."""

import sys
from collections.abc import Callable
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import click
from click.core import ParameterSource

from rllib_cli import config_check
from rllib_cli.errors import InputError
from rllib_cli.inputs import JSON, env_config, extend_import_path, pythonpath
from rllib_cli.libraries import loading_libraries

# Options of older versions that have no effect, and why.
_OBSOLETE_FLAGS = {
    "--ray-ui": "`ray start` starts the dashboard",
    "--no-ray-ui": "there is no dashboard unless `ray start` starts one",
    "--local-mode": "Ray no longer has a local mode; num_env_runners: 0 samples in one process",
    "--trace": "TensorFlow functions are always traced",
    "--eager": "TensorFlow 2 is always eager outside its functions",
}
_OBSOLETE_VALUES = {
    "--ray-num-nodes": "use --ray-address to reach a cluster of several nodes",
    "--resources-per-trial": "resources follow from options such as num_env_runners",
    "--upload-dir": "use a URI as --storage-path",
    "--file-type": "the file's extension is its type",
}


def _obsolete(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        option = param.opts[0]
        why = {**_OBSOLETE_FLAGS, **_OBSOLETE_VALUES}[option]
        click.echo(f"{option} has no effect: {why}.", err=True)


def _framework(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value not in (None, "tf2"):
        raise click.BadParameter(
            f"{value} is not available: this is TensorFlow 2 only; use tf2, or omit the option."
        )


def _tracker(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Check that an experiment tracker is installed, before anything is loaded."""
    option, package = param.opts[0], str(param.name)
    if name is not None and not name.strip():
        raise InputError(f"{option} needs a name for the results.")
    if name and find_spec(package) is None:
        raise InputError(
            f"{option} needs the package {package}, which is not installed: pip install {package}"
        )
    return name


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of both forms of ``train``."""
    decorators = [
        click.option(
            "--stop",
            "-s",
            type=JSON,
            help="Stop criteria: result name -> value. A trial ends as soon as one is reached.",
        ),
        click.option("--env", "-e", help="Environment to train in: an id or module:Class."),
        env_config,
        pythonpath,
        click.option(
            "--experiment-name", "-n", help="Directory of the results below --storage-path."
        ),
        click.option(
            "--num-samples", type=click.IntRange(1), help="Trials for each point of the grid."
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
            help="Iterations between checkpoints (default: 0: by time only).",
        ),
        click.option(
            "--checkpoint-at-end/--no-checkpoint-at-end",
            default=None,
            help="Whether to save when a trial ends (default: yes).",
        ),
        click.option(
            "--keep-checkpoints-num",
            type=click.IntRange(1),
            help="Number of checkpoints to keep (default: 2).",
        ),
        click.option(
            "--checkpoint-score-attr",
            help="Result that decides which checkpoints to keep; min-NAME: smaller is better.",
        ),
        click.option(
            "--framework",
            type=click.Choice(["tf2", "tf", "torch"]),
            callback=_framework,
            expose_value=False,
            help="Only tf2 is available.",
        ),
        click.option("--ray-address", help="Address of a Ray cluster to run on."),
        click.option("--ray-num-cpus", type=int, help="CPUs that Ray may use."),
        click.option("--ray-num-gpus", type=int, help="GPUs that Ray may use."),
        click.option("--ray-object-store-memory", type=int, help="Bytes for Ray's object store."),
        click.option(
            "--resume",
            is_flag=True,
            help="Resume the experiment of the same name and path. Its files are unpickled, which "
            "can execute code: only resume runs that you trust.",
        ),
        click.option(
            "--from-checkpoint",
            metavar="PATH",
            help="Start a new run with the networks, replay and counters of a checkpoint. It is "
            "unpickled, which can execute code: only start from checkpoints that you trust. Of "
            "pretrained:NAME and hf://owner/name only the networks are read.",
        ),
        click.option(
            "--parts",
            metavar="NAMES",
            help="Take only these networks of --from-checkpoint, if they fit: encoder, rssm, "
            "decoder, reward, continue, mask, actor, critic, ensemble, intrinsic_critic, separated "
            "by commas. Nothing is unpickled.",
        ),
        click.option(
            "--data",
            multiple=True,
            metavar="PATH",
            help="Train from recorded episodes, or fill replay with them if pretrain_updates is "
            "set: Parquet files of RLlib, a Minari dataset (also minari:ID), a run, or NPZ files; "
            "may be repeated. A run needs no environment then.",
        ),
        click.option(
            "--record",
            metavar="DIR",
            help="Record the sampled episodes to a directory, as Parquet files of RLlib.",
        ),
        click.option(
            "--scheduler",
            default="fifo",
            help="Tune scheduler: fifo (default: every trial to its end), asha, hyperband, "
            "median_stopping_rule or pbt.",
        ),
        click.option(
            "--scheduler-config",
            type=JSON,
            help="Arguments of the scheduler, as in Ray's documentation.",
        ),
        click.option(
            "--wandb",
            metavar="PROJECT",
            callback=_tracker,
            help="Also log the results to Weights & Biases.",
        ),
        click.option(
            "--mlflow", metavar="NAME", callback=_tracker, help="Also log the results to MLflow."
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
    for option in reversed(decorators):
        command = option(command)
    return command


# Keeps click from rewrapping a paragraph.
_NO_REWRAP = "\b\n"
_EXAMPLES = f"""
Stop criteria (a trial ends when any of them is reached):

{_NO_REWRAP}--stop '{{"num_env_steps_sampled_lifetime": 10000}}'
--stop '{{"env_runners/episode_return_mean": 450, "time_total_s": 3600}}'

Others: training_iteration, num_grad_updates_lifetime, env_runners/num_episodes_lifetime,
evaluation/env_runners/episode_return_mean.

A sweep that stops poor trials early:

{_NO_REWRAP}--config '{{"entropy_scale": {{"grid_search": [1e-4, 3e-4, 1e-3]}}}}' \\
--scheduler asha --scheduler-config '{{"grace_period": 5000, "max_t": 20000,
  "time_attr": "num_env_steps_sampled_lifetime"}}'
"""
_TRAIN_HELP = f"""Train an experiment from a file or from options.

{_NO_REWRAP}rllib train file tuned_examples/cartpole.yaml

{_NO_REWRAP}rllib train --algo DreamerV3 --env CartPole-v1 \\
    --config '{{"model_size": "XS"}}' \\
    --stop '{{"env_runners/episode_return_mean": 450}}'
{_EXAMPLES}"""
_FILE_HELP = f"""Train the experiments of FILE, one after the other.

FILE is a path, or the name of a tuned example (rllib example list). A YAML file contains
experiments by name, each with the keys run, env, stop, config and more. A Python file defines
`config`, a DreamerV3Config, and optionally `stop`. Options override the file; --stop, --config and
--env-config are merged with what the file says.
{_EXAMPLES}"""


class _WithoutHidden(click.Command):
    """Suggests only options that are not hidden for an unknown one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            shown = [
                name
                for one in self.get_params(ctx)
                if not getattr(one, "hidden", False)
                for name in (*one.opts, *one.secondary_opts)
            ]
            # --name is the end of --experiment-name, but looks more like --num-samples.
            ending = f"-{error.option_name.lstrip('-')}"
            meant = next((name for name in shown if name.endswith(ending)), None)
            if meant:
                raise click.NoSuchOption(
                    error.option_name,
                    f"No such option '{error.option_name}'. Did you mean '{meant}'?",
                    ctx=ctx,
                ) from None
            near = get_close_matches(error.option_name, shown)
            raise click.NoSuchOption(error.option_name, possibilities=near, ctx=ctx) from None


class _TrainGroup(_WithoutHidden, click.Group):
    """Suggests ``file`` where it is missing before a file's name."""

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
def train(
    ctx: click.Context, algorithm: str | None, config: dict[str, Any], **options: Any
) -> None:
    """Train an experiment from a file or from options."""
    if ctx.invoked_subcommand:
        if any(
            ctx.get_parameter_source(name) is not ParameterSource.DEFAULT for name in ctx.params
        ):
            raise click.UsageError("Options go after the file: rllib train file FILE [options].")
        return
    if not algorithm:
        raise click.UsageError("Give a file (rllib train file FILE) or an algorithm (--algo NAME).")
    from rllib_cli.experiments import from_options

    env = options.pop("env")
    config |= _config_options(options)
    phase = f"reading the options for {algorithm}"
    sys.exit(_train(lambda: [from_options(algorithm, env, config)], options, phase))


@train.command("file", cls=_WithoutHidden, help=_FILE_HELP)
@click.argument("file")
@click.option("--config", type=JSON, help="Options of RLlib's config that differ from the file's.")
@_run_options
def train_file(file: str, **options: Any) -> None:
    """Train the experiments of FILE, one after the other."""
    from rllib_cli.experiment_files import from_file
    from rllib_cli.experiments import has_recorded_data

    env = options.pop("env") or (options["config"] or {}).get("env")
    options["config"] = {**(options["config"] or {}), **_config_options(options)} or None
    has_data = has_recorded_data(options["config"] or {})

    def load() -> list[Any]:
        return from_file(file, options["verbosity"], env, has_data=has_data)

    sys.exit(_train(load, options, f"reading {file}"))


def _config_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the command's options that set options of the config out of ``options``."""
    parts, data, record = options.pop("parts"), options.pop("data"), options.pop("record")
    if options["resume"]:
        # "The same command with --resume": the run continues from its own checkpoint.
        parts = options["from_checkpoint"] = None
    if parts and not options["from_checkpoint"]:
        raise InputError("--parts requires --from-checkpoint: the networks come from there.")
    given = {"start_parts": parts, "input_": list(data), "output": record}
    if parts:
        given["start_checkpoint"] = options["from_checkpoint"]
    return {name: value for name, value in given.items() if value}


def _train(load: Callable[[], list[Any]], options: dict[str, Any], phase: str) -> int:
    from rllib_cli.display import open_display
    from rllib_cli.stop_criteria import describe

    # First, since importing Ray and TensorFlow takes seconds.
    extend_import_path(options["pythonpath"])
    with open_display(plain=options["verbosity"] > 0) as display:
        display.set_phase(phase)
        experiments = load()
        if options["experiment_name"] and len(experiments) > 1:
            raise InputError(
                "--experiment-name needs a single experiment; the file contains several."
            )
        checkpoint = {
            "checkpoint_every_min": options["checkpoint_every"],
            "checkpoint_frequency": options["checkpoint_freq"],
            "checkpoint_at_end": options["checkpoint_at_end"],
            "num_to_keep": options["keep_checkpoints_num"],
            "checkpoint_score_attribute": options["checkpoint_score_attr"],
        }
        experiments = [
            experiment.changed(
                name=options["experiment_name"],
                config=options.get("config"),
                env_config=options["env_config"],
                stop=options["stop"],
                num_samples=options["num_samples"],
                storage_path=options["storage_path"],
                checkpoint={key: value for key, value in checkpoint.items() if value is not None},
            )
            for experiment in experiments
        ]
        for experiment in experiments:
            extend_import_path((), experiment.config)
            if experiment.algorithm == config_check.NAME:
                # Not in a Python file, which may have registered its environment with Ray.
                with loading_libraries(options["verbosity"]):
                    config_check.check_environment_name(experiment.config)
            display.print(
                f"{experiment.algorithm_name} on {experiment.env_name}, "
                f"{describe(experiment.stop)}; results in {experiment.directory()}"
            )
        # Only now: it takes seconds, and mistakes are reported before that.
        from rllib_cli.tune_run import RunOptions, run_all

        ray_options = {
            "address": options["ray_address"],
            "num_cpus": options["ray_num_cpus"],
            "num_gpus": options["ray_num_gpus"],
            "object_store_memory": options["ray_object_store_memory"],
        }
        run_options = RunOptions(
            verbosity=options["verbosity"],
            resume=options["resume"],
            from_checkpoint=options["from_checkpoint"],
            scheduler=options["scheduler"],
            scheduler_config=options["scheduler_config"],
            ray={key: value for key, value in ray_options.items() if value is not None},
            pythonpath=tuple(options["pythonpath"]),
            wandb=options["wandb"],
            mlflow=options["mlflow"],
        )
        return run_all(experiments, run_options, display)
