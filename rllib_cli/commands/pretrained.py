"""``rllib pretrained``: lists the policies of the package, and shares your own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click

from rllib_cli.errors import RunError, reraise_as
from rllib_cli.inputs import env_config, extend_import_path, find_checkpoint, pythonpath
from rllib_cli.libraries import loading_libraries


@click.group()
def pretrained() -> None:
    """List the policies of the package, or share one of your own.

    A pretrained policy is used by its name, as in `rllib evaluate pretrained:catch`. One on the
    Hugging Face hub is used by its address, hf://owner/name or hf://owner/name@revision.
    """


@pretrained.command("list")
@click.option("--long", "-l", is_flag=True, help="Also print how each was trained.")
def list_policies(long: bool) -> None:
    """List the policies that come with the package.

    Returns are means over evaluation episodes, with the standard deviation of the returns.
    """
    from rllib_cli.display import format_int
    from rllib_dreamerv3.checkpoints import card, pretrained

    rows: list[tuple[str, ...]] = [
        ("name", "environment", "env steps", "episodes", "mean return"),
    ]
    commands = [""]
    for name in pretrained.names():
        found = card.read(pretrained.directory_of(name))
        counts = map(format_int, (found.env_steps, found.episodes))
        rows.append((f"{pretrained.PREFIX}{name}", found.env, *counts, found.returns))
        commands.append(found.command or "")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for (name, env, *numbers), command in zip(rows, commands, strict=True):
        texts = [f"{name:{widths[0]}}", f"{env:{widths[1]}}"]
        texts += [f"{x:>{width}}" for x, width in zip(numbers, widths[2:], strict=True)]
        click.echo("  ".join(texts))
        if long and command:
            click.echo(f"    {command}")


@pretrained.command()
@click.argument("checkpoint")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="Directory to write."
)
@click.option(
    "--env",
    "-e",
    help="Environment of the evaluation: an id or module:Class (default: that of the training).",
)
@env_config
@pythonpath
@click.option(
    "--episodes",
    type=click.IntRange(1),
    default=100,
    help="Evaluation episodes for the card (default: 100).",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Seed of these episodes (default: the seed of the run).",
)
@click.option(
    "--action",
    type=click.Choice(["sample", "mode"]),
    help="How the policy acts by default, and in these episodes (default: as configured).",
)
@click.option(
    "--records",
    type=click.IntRange(1),
    default=256,
    help="Records to include, from which dreams start (default: 256).",
)
@click.option("--command", help="Command that trained it, for the card.")
@click.option("--commit", help="Commit of this package that trained it, for the card.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def pack(checkpoint: str, out: str, pythonpath: tuple[str, ...], **options: Any) -> None:
    """Write the policy of CHECKPOINT to a small directory that can be shared.

    CHECKPOINT is a checkpoint, or a directory of results: then its newest complete checkpoint is
    used. No code from it is executed. The directory has the networks (float16), a few records, and
    a card with the returns of --episodes episodes: card.json and README.md. Records are
    observations of the environment, and policy.json has env_config: look at them before sharing.
    """
    extend_import_path(pythonpath, options["env"])
    pack_checkpoint(checkpoint, Path(out).expanduser(), **options)


def pack_checkpoint(
    checkpoint: str,
    out: Path,
    *,
    env: str | None,
    env_config: Mapping[str, Any] | None,
    episodes: int,
    seed: int | None,
    action: Literal["sample", "mode"] | None,
    records: int,
    command: str | None,
    commit: str | None,
    verbosity: int,
) -> None:
    """Write a shared policy, play episodes with it, and write its card.

    Args:
        checkpoint: See :func:`find_checkpoint`.
        out: Directory to write.
        env: Environment to play in; None for that of the training.
        env_config: Options of the environment; they override those of the training.
        episodes: Number of episodes.
        seed: Seed of the episodes; None for that of the training.
        action: How the policy acts by default; None for the checkpoint's ``evaluation_action``.
        records: Maximum number of records to include.
        command: Command that trained the policy, for the card.
        commit: Commit at which it was trained, for the card.
        verbosity: From 1, print tracebacks of errors.

    Raises:
        RunError: If there is no checkpoint, it cannot be written there, or an episode fails.
    """
    from rllib_cli.commands.evaluate import ReturnStatistics
    from rllib_cli.display import open_display
    from rllib_dreamerv3.checkpoints import card, manifest, policy_file

    path, problems = find_checkpoint(checkpoint)
    with open_display(plain=verbosity > 0) as display, reraise_as(RunError, verbosity):
        for problem in problems:
            display.print(problem)
        display.print(f"Packing {path}")
        display.set_phase("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_cli.rollouts import play
            from rllib_dreamerv3.exporting.shared_policy import write_shared_policy
            from rllib_dreamerv3.options.model_sizes import variant_of

        # If this ends early, the directory has no card instead of that of another policy.
        card.remove(out)
        write_shared_policy(path, out, records=records, action=action)
        returns = []
        # The card describes the rounded networks, so these are played.
        for episode in play(out, env=env, env_config=env_config, episodes=episodes, seed=seed):
            returns.append(float(episode.ret))
            display.set_phase(f"playing episode {len(returns)} of {episodes}")
        display.set_phase("")
        statistics = ReturnStatistics.of(returns)
        trained, written = policy_file.read(out), manifest.read(out)
        size = trained.options["model_size"]
        found = card.Card(
            env=env or trained.env or trained.env_class or "unnamed",
            env_config={**(trained.options.get("env_config") or {}), **(env_config or {})},
            model_size=size,
            variant=variant_of(size, trained.options["variant"]),
            env_steps=written.env_steps,
            updates=written.updates,
            episodes=episodes,
            action=trained.options["evaluation_action"],
            seed=trained.options.get("seed") if seed is None else seed,
            return_mean=statistics.mean,
            return_std=statistics.deviation,
            package_version=written.package_version,
            command=command,
            commit=commit,
        )
        card.write(out, found)
        size_bytes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        display.print(f"Mean return of {episodes} episodes: {found.returns} (standard deviation)")
        display.print(f"{size_bytes / 1e3:.0f} kB in {out}. Its card: {out / card.README_FILE}")


@pretrained.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("address", metavar="hf://OWNER/NAME")
@click.option("--private", is_flag=True, help="Make the repository private, if it is new.")
@click.option("-v", "verbosity", count=True, help="Show tracebacks of errors.")
def push(directory: Path, address: str, private: bool, verbosity: int) -> None:
    """Upload DIRECTORY, written by `rllib pretrained pack`, to the Hugging Face hub.

    The repository is created if there is none. Log in before, with `hf auth login`.
    """
    from rllib_dreamerv3.checkpoints import card, hub, manifest

    with reraise_as(RunError, verbosity):
        directory = directory.resolve()
        if not manifest.is_shared(directory):
            raise RunError(
                f"{directory} is not a policy to share. Write one: rllib pretrained pack "
                "CHECKPOINT --out DIR"
            )
        manifest.verify(directory)
        card.read(directory)
        click.echo(f"Uploaded: {hub.upload(directory, address, private=private)}")
