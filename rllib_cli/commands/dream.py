"""``rllib dream``: a video or a picture of what a world model imagines."""

from pathlib import Path
from typing import Any

import click

from rllib_cli.errors import InputError, RunError, told_as
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
    dream_of(checkpoint, **said)


def dream_of(
    checkpoint: str,
    *,
    out: str | None,
    rows: int,
    context: int,
    length: int,
    seed: int,
    verbosity: int,
) -> None:
    """Writes a dream of a checkpoint to a file, and says where it is.

    Args:
        checkpoint: As for :func:`find_checkpoint`.
        out: File to write, ending in .mp4, .gif or .png; None for dream.mp4, or dream.png where
            the observations have no image, in the working directory.
        rows: Sequences to dream of.
        context: Records of each that imagination sees.
        length: Records of each.
        seed: Decides the sequences and all samples.
        verbosity: From 1 on, errors come with their traceback.

    Raises:
        InputError: If ``out`` cannot be written, or there is nothing to imagine.
        RunError: If there is no checkpoint, or it cannot be dreamt of.
    """
    from rllib_cli.display import open_display
    from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING, VIDEO_ENDINGS

    _check(out, context, length)
    path, problems = find_checkpoint(checkpoint)
    with open_display(plain=verbosity > 0) as display, told_as(RunError, verbosity):
        for problem in problems:
            display.say(problem)
        display.say(f"Dreaming of {path}")
        display.wait("loading TensorFlow and the checkpoint")
        with loading_libraries(verbosity):
            from rllib_dreamerv3.reports.checkpoint_dream import dream_of_checkpoint, has_images
            from rllib_dreamerv3.reports.dream_files import write_dream

        with_images = has_images(path)
        target = Path(out or (DEFAULT_VIDEO if with_images else DEFAULT_PICTURE))
        if target.suffix in VIDEO_ENDINGS and not with_images:
            raise InputError(
                f"{target} would be a video, but the observations have no images: give a picture, "
                f"--out {target.with_suffix(PICTURE_ENDING)}."
            )
        dream = dream_of_checkpoint(path, rows=rows, length=length, observed=context, seed=seed)
        display.wait(f"drawing {target}")
        write_dream(target, dream)
        display.wait("")
        found = len(dream.is_first)
        if found < rows:
            display.say(f"Replay has {found} such sequences, not {rows}.")
        display.say(f"{target}: {found} sequences of {length} steps, the first {context} seen")


def _check(out: str | None, context: int, length: int) -> None:
    if context >= length:
        raise InputError(
            f"--context {context} leaves nothing to imagine of --length {length}: it must be less."
        )
    if out is None:
        return
    from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING, VIDEO_ENDINGS

    endings = (*VIDEO_ENDINGS, PICTURE_ENDING)
    if Path(out).suffix not in endings:
        raise InputError(f"{out} must end in {', '.join(endings[:-1])} or {endings[-1]}.")
    if not Path(out).resolve().parent.is_dir():
        raise InputError(f"{out} cannot be written: its directory does not exist.")
