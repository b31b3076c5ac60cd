"""``rllib export``: its grammar."""

import click

FORMATS = ("savedmodel", "litert", "onnx")


@click.command()
@click.argument("checkpoint")
@click.option(
    "--out", "-o", required=True, type=click.Path(file_okay=False), help="Folder to write."
)
@click.option(
    "--format",
    "-f",
    "formats",
    required=True,
    multiple=True,
    type=click.Choice(FORMATS),
    help="Of the model; may be repeated.",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def export(checkpoint: str, out: str, formats: tuple[str, ...], verbosity: int) -> None:
    """Write the policy of CHECKPOINT for programs that have neither Ray nor this package.

    CHECKPOINT is a checkpoint, or a directory of results that holds some: then the newest that is
    whole. Nothing of it is executed. The folder has the models, policy.json, code that acts with
    NumPy alone, and a README.md that shows how.
    """
    from rllib_cli.exporting import export as export_checkpoint

    export_checkpoint(checkpoint, out=out, formats=formats, verbosity=verbosity)
