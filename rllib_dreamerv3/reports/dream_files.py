"""Writes dreams to files: one given file, or all files of a report in training."""

from pathlib import Path

from rllib_dreamerv3.reports.dream_plot import plots, still_picture
from rllib_dreamerv3.reports.dream_video import video_frames
from rllib_dreamerv3.reports.dreams import Dream
from rllib_dreamerv3.reports.labelled_strips import labelled_strips
from rllib_dreamerv3.reports.picture_files import PICTURE_ENDING, write_png, write_video


def write_dream(path: Path, dream: Dream) -> None:
    """Write a dream in the format of a file's suffix: a still picture for PNG, else a video.

    Raises:
        ValueError: If the suffix is unknown, or there is no image for a video.
        OSError: If the file cannot be written.
    """
    if path.suffix == PICTURE_ENDING:
        write_png(path, still_picture(dream))
    else:
        write_video(path, video_frames(dream))


def write_report(directory: Path, dream: Dream, update: int) -> dict[str, Path]:
    """Write the files of a report in training.

    Args:
        directory: Directory of the run.
        dream: The dream.
        update: Number of updates so far, for the names of the files.

    Returns:
        The files, by their names in the results. With images: ``open_loop_image``, a film strip,
        and ``dream_video``. With numbers or classes: ``dream_plot``.

    Raises:
        OSError: If a file cannot be written.
    """
    files = {}
    strips = labelled_strips(dream)
    if strips is not None:
        files["open_loop_image"] = directory / "reports" / f"open_loop_{update:08d}.png"
        write_png(files["open_loop_image"], strips)
        files["dream_video"] = directory / "dreams" / f"{update:08d}.mp4"
        write_video(files["dream_video"], video_frames(dream))
    if dream.layout.vectors:
        files["dream_plot"] = directory / "dreams" / f"{update:08d}.png"
        write_png(files["dream_plot"], plots(dream))
    return files
