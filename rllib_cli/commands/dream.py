"""``rllib dream``: a video or picture of a world model's imagination."""

from pathlib import Path
from typing import Any

import click

from rllib_cli.errors import InputError, RunError, reraise_as
from rllib_cli.inputs import find_checkpoint
from rllib_cli.libraries import loading_libraries

DEFAULT_VIDEO, DEFAULT_PICTURE = "dream.mp4", "dream.png"


@click.command()
@click.argument("checkpoint")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True),
    help="File that ends in .mp4, .gif or .png (default: dream.mp4; dream.png without images).",
)
@click.option("--rows", type=click.IntRange(1), default=4, help="Number of sequences (default: 4).")
@click.option(
    "--context",
    type=click.IntRange(1),
    default=5,
    help="Observed records of each sequence before imagination (default: 5).",
)
@click.option(
    "--length",
    type=click.IntRange(2),
    help="Records of each sequence (default: 50, or as many as replay has in a row).",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    help="Seed of sequences and samples (default: 0).",
)
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def dream(checkpoint: str, **options: Any) -> None:
    """Show what the world model of CHECKPOINT imagines for sequences of its replay.

    Shows truth, reconstruction, imagination and error side by side: images as a video, vectors as
    plots. CHECKPOINT is a checkpoint, or a directory of results: then its newest complete
    checkpoint is used. No code from the checkpoint is executed and no environment is created.
    """
    write_dream(checkpoint, **options)


def write_dream(
    checkpoint: str,
    *,
    out: str | None,
    rows: int,
    context: int,
    length: int | None,
    seed: int,
    verbosity: int,
) -> None:
    """Write a dream of a checkpoint to a file.

    Args:
        checkpoint: See :func:`find_checkpoint`.
        out: File to write, ending in .mp4, .gif or .png; None for dream.mp4, or dream.png if the
            observations have no image, in the working directory.
        rows: Number of sequences.
        context: Observed records of each sequence before imagination.
        length: Records of each sequence; None for 50, or as many consecutive ones as replay has.
        seed: Seed of the sequences and all samples.
        verbosity: From 1, print tracebacks of errors.

    Raises:
        InputError: If ``out`` cannot be written, or ``context`` leaves nothing to imagine.
        RunError: If there is no checkpoint, or it cannot be used.
    """
    from rllib_cli.display import open_display
    from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING, VIDEO_ENDINGS

    _check(out, context, length)
    path, problems = find_checkpoint(checkpoint)
    with open_display(plain=verbosity > 0) as display, reraise_as(RunError, verbosity):
        for problem in problems:
            display.print(problem)
        display.print(f"Dreaming of {path}")
        display.set_phase("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_dreamerv3.reports.checkpoint_dream import dream_of_checkpoint, has_images
            from rllib_dreamerv3.reports.dream_files import write_dream as write_file

        with_images = has_images(path)
        target = Path(out or (DEFAULT_VIDEO if with_images else DEFAULT_PICTURE))
        if target.suffix in VIDEO_ENDINGS and not with_images:
            raise InputError(
                f"{target} would be a video, but the observations have no images: write a picture, "
                f"--out {target.with_suffix(PICTURE_ENDING)}."
            )
        imagined = dream_of_checkpoint(path, rows=rows, length=length, observed=context, seed=seed)
        display.set_phase(f"drawing {target}")
        write_file(target, imagined)
        display.set_phase("")
        found, length = imagined.is_first.shape
        if found < rows:
            display.print(f"Replay has only {found} of {rows} sequences of {length} steps.")
        display.print(
            f"{target}: {found} x {length} steps, the first {context} of each sequence observed"
        )


def _check(out: str | None, context: int, length: int | None) -> None:
    if length is not None and context >= length:
        raise InputError(
            f"--context {context} leaves nothing to imagine of --length {length}: use a smaller "
            "--context."
        )
    if out is None:
        return
    from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING, VIDEO_ENDINGS

    endings = (*VIDEO_ENDINGS, PICTURE_ENDING)
    if Path(out).suffix not in endings:
        raise InputError(f"{out} must end in {', '.join(endings[:-1])} or {endings[-1]}.")
    if not Path(out).resolve().parent.is_dir():
        raise InputError(f"{out} cannot be written: its directory does not exist.")
