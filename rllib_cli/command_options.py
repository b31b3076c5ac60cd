"""The options of ``rllib train``, and those that several commands have."""

import json
from collections.abc import Callable
from typing import Any

import click

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


class _Json(click.ParamType):
    name = "JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            parsed = json.loads(value, object_pairs_hook=self._each_once)
        except json.JSONDecodeError as exc:
            self.fail(f"not valid JSON: {exc.msg} at column {exc.colno} of {value}", param, ctx)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"has to be a JSON object such as '{{\"key\": 1}}', not {value}", param, ctx)
        return parsed

    @staticmethod
    def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"the key {key!r} is there twice, and only one could count")
            found[key] = value
        return found


JSON = _Json()


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


env_config_option = click.option(
    "--env-config", type=JSON, help="Options of the environment, over those of the file."
)
pythonpath_option = click.option(
    "--pythonpath",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Directory of modules that are named, such as the environment's; may be repeated.",
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that both forms of ``train`` have."""
    options = [
        click.option("--stop", "-s", type=JSON, help="Stop criteria: number by result."),
        click.option("--env", "-e", help="Environment to train in: an id, or module:Class."),
        env_config_option,
        pythonpath_option,
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
