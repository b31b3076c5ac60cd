"""``rllib data``: summarises recorded data, checks it, and converts it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from rllib_cli.errors import RunError, reraise_as
from rllib_cli.inputs import env_config, extend_import_path, pythonpath
from rllib_cli.libraries import loading_libraries

if TYPE_CHECKING:
    from rllib_dreamerv3.data.episode import Episode
    from rllib_dreamerv3.spaces.codecs import Spaces


@click.command()
@click.argument("path")
@click.option(
    "--env",
    "-e",
    help="Environment that the data must fit: an id or module:Class (default: recorded spaces).",
)
@env_config
@pythonpath
@click.option("--minari", "minari_id", metavar="ID", help="Write a Minari dataset of this id.")
@click.option("--skip-damaged", is_flag=True, help="Report damaged episodes and continue.")
@click.option("-v", "verbosity", count=True, help="Show the libraries' messages.")
def data(path: str, verbosity: int, pythonpath: tuple[str, ...], **options: Any) -> None:
    """Summarise and check the recorded episodes at PATH.

    PATH is a directory or file with RLlib's Parquet files, a Minari dataset (also minari:ID), a run
    or checkpoint of DreamerV3, whose replay is read, or the authors' NPZ files.
    Every episode is read and converted to records, as in training.
    """
    extend_import_path(pythonpath, options["env"])
    show_data(path, verbosity=verbosity, **options)


def show_data(
    path: str,
    *,
    env: str | None,
    env_config: dict[str, Any] | None,
    minari_id: str | None,
    skip_damaged: bool,
    verbosity: int,
) -> None:
    """Print a summary of recorded data.

    Args:
        path: See :func:`~rllib_dreamerv3.data.formats.open_dataset`.
        env: Environment that the data must fit; None for the recorded spaces.
        env_config: Options of the environment.
        minari_id: Minari dataset to write; None for none.
        skip_damaged: Whether to continue after damaged episodes.
        verbosity: From 1, print tracebacks of errors.

    Raises:
        RunError: If there is no data, it is damaged, or does not fit.
    """
    from rllib_cli.display import open_display

    with open_display(plain=verbosity > 0) as display, reraise_as(RunError, verbosity):
        display.set_phase("loading libraries")
        with loading_libraries(verbosity):
            from rllib_dreamerv3.data.formats import open_dataset

            dataset = open_dataset(path)
        spaces = _spaces_of_env(env, env_config) if env else dataset.spaces
        display.set_phase("reading episodes")
        summary = _Summary()
        report = display.print if skip_damaged else None
        episodes = summary.counting(dataset.episodes(skip_damaged=skip_damaged), spaces, report)
        written = None
        if minari_id:
            if spaces is None:
                raise RunError(f"{path} lacks the spaces, which Minari requires. Add --env.")
            from rllib_dreamerv3.data.minari_data import write_minari

            written = write_minari(minari_id, episodes, spaces, env or dataset.env)
        else:
            for _ in episodes:
                pass
        display.set_phase("")
        display.print(f"{dataset.place}: {dataset.format}")
        if dataset.env:
            display.print(f"environment    {dataset.env}")
        if spaces is not None:
            display.print(f"observations   {spaces.observation}")
            display.print(f"actions        {spaces.action}")
        for line in summary.lines():
            display.print(line)
        if written:
            display.print(f"Wrote minari:{minari_id}, {written[0]} episodes, {written[1]} steps.")


def _spaces_of_env(env: str, env_config: dict[str, Any] | None) -> "Spaces":
    from rllib_dreamerv3 import DreamerV3Config
    from rllib_dreamerv3.plugin.sampling.environments import env_context, make_environments
    from rllib_dreamerv3.spaces.codecs import Spaces

    config = DreamerV3Config().environment(env, env_config=env_config or {})
    made = make_environments(config, env_context(config, 0))
    made.close()
    return Spaces(made.single_observation_space, made.single_action_space)


@dataclass
class _Summary:
    """Numbers of the episodes that were read.

    Attributes:
        steps: Steps of all episodes.
        returns: Returns of complete episodes.
        lengths: Their steps.
        terminated: How many of them ended by termination.
        parts: Episodes without beginning or end.
    """

    steps: int = 0
    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    terminated: int = 0
    parts: int = 0

    def counting(
        self,
        episodes: "Iterable[Episode]",
        spaces: "Spaces | None",
        report: Callable[[str], None] | None,
    ) -> "Iterator[Episode]":
        """Count the episodes and yield them; check each first if the spaces are known.

        Args:
            episodes: The episodes.
            spaces: Spaces that they must fit; None if these are unknown.
            report: Called with a message about each episode that does not fit, which is left out;
                None to raise DataError instead.
        """
        from rllib_dreamerv3.data.episode import records_of
        from rllib_dreamerv3.errors import DataError
        from rllib_dreamerv3.spaces.codecs import make_codecs

        codecs = make_codecs(*spaces) if spaces is not None else None
        for episode in episodes:
            try:
                if codecs is not None:
                    records_of(episode, *codecs)
            except DataError as error:
                if report is None:
                    raise
                report(f"Skipped: {error}")
                continue
            self.steps += len(episode)
            if episode.ended and episode.from_reset:
                self.returns.append(float(episode.rewards.sum()))
                self.lengths.append(len(episode))
                self.terminated += episode.terminated
            else:
                self.parts += 1
            yield episode

    def lines(self) -> Iterator[str]:
        """Yield the lines to print."""
        from rllib_cli.display import format_int, format_number

        complete = len(self.returns)
        yield f"env steps      {format_int(self.steps)}"
        yield (
            f"episodes       {format_int(complete)}: {format_int(self.terminated)} terminated, "
            f"{format_int(complete - self.terminated)} truncated"
        )
        if self.parts:
            yield f"incomplete     {format_int(self.parts)}, without beginning or end"
        for name, values in (("returns", self.returns), ("lengths", self.lengths)):
            if values:
                mean = sum(values) / complete
                yield (
                    f"{name:14} mean {format_number(mean)}, from {format_number(min(values))} to "
                    f"{format_number(max(values))}"
                )
