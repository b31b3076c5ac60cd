"""Opens recorded data in the format of its files."""

from pathlib import Path

from rllib_dreamerv3.data.dataset import Dataset
from rllib_dreamerv3.errors import CheckpointError, DataError
from rllib_dreamerv3.options.paths import MINARI


def open_dataset(place: str | Path) -> Dataset:
    """Open a dataset, and detect its format.

    Args:
        place: A directory or file with Parquet files of RLlib's episodes or NPZ files; a Minari
            dataset as a directory, or as ``minari:ID``; a checkpoint, trial or experiment of
            DreamerV3, whose replay is read.

    Returns:
        The dataset. Episodes are read as they are iterated over.

    Raises:
        DataError: If there is no recorded data, or it cannot be opened.
    """
    # Imported here, so that each format loads only the libraries that it needs.
    if str(place).startswith(MINARI):
        from rllib_dreamerv3.data.minari_data import MinariData

        return MinariData.of_id(str(place).removeprefix(MINARI))
    path = Path(place).expanduser().absolute()
    if not path.exists():
        raise DataError(
            f"There is no {path}. Give the path of recorded episodes, or {MINARI}ID for a Minari "
            "dataset."
        )
    if (path / "data" / "metadata.json").is_file():
        from rllib_dreamerv3.data.minari_data import MinariData

        return MinariData(path)
    if files := _files(path, ".parquet"):
        from rllib_dreamerv3.data.rllib_episodes import RllibEpisodes

        return RllibEpisodes(path, files)
    missing = f"{path} is neither a .parquet nor an .npz file."
    if path.is_dir():
        from rllib_dreamerv3.data.replay_data import ReplayData

        try:
            return ReplayData.of_run(path)
        except CheckpointError as error:
            missing = (
                f"{path} has no recorded episodes: neither .parquet files of RLlib, nor a Minari "
                f"dataset, nor .npz files of the authors' code. As a run: {error}"
            )
    if files := _files(path, ".npz"):
        from rllib_dreamerv3.data.npz_data import NpzData

        return NpzData(path, files)
    raise DataError(missing)


def _files(path: Path, suffix: str) -> list[Path]:
    """Return the files with a suffix at or below a path, in order."""
    if path.is_file():
        return [path] if path.suffix == suffix else []
    return sorted(found for found in path.rglob(f"*{suffix}") if found.is_file())
