"""``rllib example``: lists, prints and trains the tuned examples."""

import click

from rllib_cli import example_files
from rllib_cli.commands.train import train_file
from rllib_cli.errors import unknown


@click.group()
def example() -> None:
    """List, print or train the tuned examples."""


@example.command("list")
@click.option("--filter", "-f", "part", default="", help="Only names that contain this text.")
def list_examples(part: str) -> None:
    """List the names of the examples, with a sentence about each."""
    shown = {name: text for name, text in example_files.summaries() if part in name}
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        click.echo(f"{name:{width}}  {text}")


@example.command()
@click.argument("name")
def get(name: str) -> None:
    """Print the file of an example, to copy and change it."""
    path = example_files.find(name)
    if path is None:
        raise unknown("example", name, [name for name, _ in example_files.summaries()])
    click.echo(path.read_text(encoding="utf-8"), nl=False)


# Its argument may be the name of an example.
example.add_command(train_file, "run")
