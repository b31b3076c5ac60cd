"""The ``rllib`` command. Each of its commands has a file in ``commands``."""

import os
import signal
import sys
from contextlib import suppress
from typing import Any

import click
import wrapt

from rllib_cli.commands.check_env import check_env
from rllib_cli.commands.data import data
from rllib_cli.commands.doctor import doctor
from rllib_cli.commands.dream import dream
from rllib_cli.commands.evaluate import evaluate
from rllib_cli.commands.example import example
from rllib_cli.commands.export import export
from rllib_cli.commands.plot import plot
from rllib_cli.commands.pretrained import pretrained
from rllib_cli.commands.report import report
from rllib_cli.commands.reproduce import reproduce
from rllib_cli.commands.train import train
from rllib_dreamerv3.startup.versions import versions


def _versions() -> str:
    return "\n".join(f"{name:24}{number}" for name, number in versions().items())


def _print_versions(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(_versions())
        ctx.exit()


# Commands of RLlib's former command line, and what to use instead.
_FORMER = {
    "rollout": "rollout is now called evaluate: rllib evaluate CHECKPOINT",
    "tune": "A sweep is an experiment with a grid search: rllib train file sweep.yaml",
}


class _Commands(click.Group):
    """Says what commands of RLlib's former command line are called now."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] in _FORMER:
            raise click.UsageError(_FORMER[args[0]], ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Print the versions of this package and its dependencies.",
)
def cli() -> None:
    """Train and evaluate RLlib algorithms from files or options."""


_ALL = (
    *(train, evaluate, example, pretrained, check_env, data),
    *(doctor, dream, export, plot, report, reproduce),
)
for command in _ALL:
    cli.add_command(command)


@cli.command()
def version() -> None:
    """Print the versions of this package and its dependencies."""
    click.echo(_versions())


def main() -> None:
    """Run the command and exit with its exit code: 2 for wrong input, 130 for Ctrl-C."""
    # It reads a matplotlibrc of the working directory, which could make it start LaTeX.
    wrapt.register_post_import_hook(lambda matplotlib: matplotlib.rcdefaults(), "matplotlib")
    try:
        cli(standalone_mode=False)
        code = 0
    except click.ClickException as exc:
        exc.show()
        code = exc.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        code = 130
    finally:
        # Also after sys.exit() in a command. Shutting Ray down takes seconds; its processes end
        # with this one, too, and what was printed must not be lost.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    sys.exit(code)


if __name__ == "__main__":
    main()
