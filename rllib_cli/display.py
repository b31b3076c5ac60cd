"""Output of the command: a live table on a terminal, else one line per result."""

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rllib_cli.progress import TrialProgress, look_up
from rllib_cli.stop_criteria import ENV_STEP_COUNTERS

# Seconds without output after which a plain display repeats what it waits for.
_REMINDER_S = 30

# Only where there is evaluation.
_EVALUATION = "eval"
_COLUMNS = (
    ("iter", 6),
    ("env steps", 11),
    ("updates", 9),
    ("ratio", 7),
    ("return", 9),
    ("last", 9),
    (_EVALUATION, 9),
    ("length", 7),
    ("world", 8),
    ("actor", 8),
    ("critic", 8),
    ("steps/s", 8),
    ("upd/s", 7),
    ("to go", 9),
)
# Columns that fit beside trial names on a narrow terminal.
_SWEEP_COLUMNS = ("env steps", "updates", "return", _EVALUATION, "steps/s", "to go")


def open_display(*, plain: bool) -> "Display":
    """Create a live display on a terminal, else a plain one.

    Args:
        plain: Use a plain display even on a terminal.

    Returns:
        A display, which is a context manager.
    """
    console = Console(file=cast(TextIO, _SafeOutput(sys.stdout)), highlight=False, soft_wrap=True)
    if plain or not console.is_terminal:
        return PlainDisplay(console)
    return LiveDisplay(console)


class _SafeOutput:
    """An output that ignores write errors, so that runs survive a closed terminal."""

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Display:
    """Tracks the trials of a run. Subclasses show them."""

    def __init__(self, console: Console):
        self.console = console
        self.stop: Mapping[str, float] = {}
        self.machines: dict[str, str] = {}
        self.trials: dict[str, TrialProgress] = {}
        self.expected_trials = 1
        self.phase = ""
        self.since = time.monotonic()

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def print(self, text: str) -> None:
        """Print a message."""
        self.console.print(Text(text))

    def set_phase(self, phase: str) -> None:
        """Set what the command waits for while no trial runs; empty: nothing."""
        if phase != self.phase:
            self.phase, self.since = phase, time.monotonic()

    def begin(self, stop: Mapping[str, float], expected_trials: int) -> None:
        """Start an experiment.

        Args:
            stop: Result name -> value at which a trial ends.
            expected_trials: Number of trials; -1 if unlimited.
        """
        self.stop, self.expected_trials, self.trials = stop, expected_trials, {}
        self.machines = {}
        self.set_phase("")

    def trial(self, trial_id: str, name: str) -> TrialProgress:
        """Return the progress of a trial; create it on first use."""
        return self.trials.setdefault(trial_id, TrialProgress(name))

    def trial_waits(self, trial_id: str, name: str, phase: str) -> None:
        """Set what a running trial waits for."""
        trial = self.trial(trial_id, name)
        trial.state = "running"
        trial.enter(phase)

    def trial_reports(self, trial_id: str, name: str, result: Mapping[str, Any]) -> None:
        """Add a result; the first of a single trial also shows its devices and replay's size."""
        trial = self.trial(trial_id, name)
        device = result.get("learner_device")
        if device and not trial.result and len(self.trials) == 1:
            host = result.get("hostname", "an unknown machine")
            self.print(
                f"The main process is on {host}; updates run on the {device}{_number_type(result)}."
            )
        machines = result.get("machines")
        if machines and machines != self.machines and len(self.trials) == 1:
            self.machines = dict(machines)
            self.print("Processes by machine:")
            for machine, processes in sorted(machines.items()):
                self.print(f"  {machine}: {processes}")
        if not trial.result and len(self.trials) == 1 and (need := self._replay_need(result)):
            self.print(need)
        trial.update(result)

    def _replay_need(self, result: Mapping[str, Any]) -> str | None:
        """How large replay gets until the run ends; None if the result does not say it."""
        replay = {
            name: look_up(result, f"replay_buffer/{name}") or 0.0
            for name in (
                *("num_bytes_at_capacity", "num_bytes_of_checkpoint", "num_bytes_of_machine"),
                *("num_records_at_capacity", "num_records", "num_env_steps_stored"),
                "num_bytes_of_disk",
            )
        }
        if not replay["num_bytes_at_capacity"]:
            return None
        disk = replay["num_bytes_of_disk"]
        available = format_bytes(replay["num_bytes_of_machine"] or disk)
        where = f"of {available} {'free disk space' if disk else 'memory'}"
        share, until = 1.0, ""
        steps = min(
            (self.stop[name] for name in ENV_STEP_COUNTERS if name in self.stop), default=None
        )
        if steps is not None and replay["num_records_at_capacity"]:
            # Episodes have a record more than steps.
            records = steps * max(
                1.0, replay["num_records"] / (replay["num_env_steps_stored"] or 1)
            )
            if records < replay["num_records_at_capacity"]:
                share = records / replay["num_records_at_capacity"]
                until = f" by {steps:,.0f} env steps"
        return (
            f"Replay may grow to {format_bytes(share * replay['num_bytes_at_capacity'])}{until}, "
            f"{where}, and adds up to {format_bytes(share * replay['num_bytes_of_checkpoint'])} to "
            "each checkpoint on disk; an old one is deleted after the next is saved. "
            "capacity_bytes in replay_buffer_config limits both."
        )

    def trial_ends(self, trial_id: str, name: str, *, failed: bool) -> None:
        """Mark a trial as ended."""
        trial = self.trial(trial_id, name)
        trial.state, trial.phase = ("failed" if failed else "finished"), ""

    def tick(self) -> None:
        """Update the display; called several times per second while trials run."""

    def close(self) -> None:
        """End the output."""

    @property
    def is_sweep(self) -> bool:
        """Whether there is more than one trial."""
        return self.expected_trials != 1 or len(self.trials) > 1

    def counts(self) -> str:
        """``"2 running, 3 pending, 1 finished"``."""
        states = [trial.state for trial in list(self.trials.values())]
        numbers = {state: states.count(state) for state in ("running", "finished", "failed")}
        pending = max(self.expected_trials, len(states)) - sum(numbers.values())
        text = f"{numbers['running']} running, {pending} pending, {numbers['finished']} finished"
        return text + (f", {numbers['failed']} failed" if numbers["failed"] else "")

    @property
    def columns(self) -> list[tuple[str, int]]:
        """Names and widths of the columns."""
        evaluates = any(trial.evaluates for trial in list(self.trials.values()))
        return [column for column in _COLUMNS if evaluates or column[0] != _EVALUATION]

    def cells(self, trial: TrialProgress) -> dict[str, str]:
        """The cells of a table row by column."""
        losses = trial.losses()
        to_go = trial.time_to_go(self.stop) if trial.state == "running" else None
        cells = (
            format_int(trial.iteration),
            format_int(trial.env_steps),
            format_int(trial.grad_updates),
            format_number(trial.training_ratio),
            format_number(trial.return_mean),
            format_number(trial.return_last),
            format_number(trial.evaluation_return),
            format_number(trial.episode_length),
            *(format_number(losses[name]) for name in ("world", "actor", "critic")),
            format_number(trial.rate("num_env_steps_sampled_lifetime")),
            format_number(trial.rate("num_grad_updates_lifetime")),
            format_duration(to_go[0]) if to_go else "-",
        )
        return dict(zip((name for name, _ in _COLUMNS), cells, strict=True))


class PlainDisplay(Display):
    """One line per event, readable in a log file."""

    def __init__(self, console: Console):
        super().__init__(console)
        self._header_printed = False
        self._columns = list(_COLUMNS)
        self._last_line = time.monotonic()

    def print(self, text: str) -> None:
        self.console.print(Text(text))
        self.console.file.flush()
        self._last_line = time.monotonic()

    def set_phase(self, phase: str) -> None:
        if phase and phase != self.phase:
            self.print(f"{phase} ...")
        super().set_phase(phase)

    def trial_waits(self, trial_id: str, name: str, phase: str) -> None:
        trial = self.trial(trial_id, name)
        before = trial.waits_for
        super().trial_waits(trial_id, name, phase)
        if trial.phase and trial.waits_for != before:
            self.print(self._waiting(trial))

    def trial_reports(self, trial_id: str, name: str, result: Mapping[str, Any]) -> None:
        trial = self.trial(trial_id, name)
        before = trial.waits_for
        super().trial_reports(trial_id, name, result)
        if trial.phase:
            if trial.waits_for != before:
                self.print(self._waiting(trial))
            return
        if not self._header_printed:
            self._header_printed = True
            self._columns = self.columns
            self.print(self._row("trial", {name: name for name, _ in _COLUMNS}))
        self.print(self._row(name, self.cells(trial)))

    def trial_ends(self, trial_id: str, name: str, *, failed: bool) -> None:
        super().trial_ends(trial_id, name, failed=failed)
        if self.is_sweep:
            self.print(f"{name} {'failed' if failed else 'finished'}; {self.counts()}")

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._last_line < _REMINDER_S:
            return
        if self.phase:
            self.print(f"{self.phase} ... {format_duration(now - self.since)}")
        for trial in self.trials.values():
            if trial.phase:
                self.print(f"{self._waiting(trial)} {format_duration(now - trial.since)}")

    def begin(self, stop: Mapping[str, float], expected_trials: int) -> None:
        super().begin(stop, expected_trials)
        self._header_printed = False

    def _waiting(self, trial: TrialProgress) -> str:
        text = f"{trial.waits_for} ..."
        return f"{trial.name}: {text}" if self.is_sweep else text

    def _row(self, name: str, cells: Mapping[str, str]) -> str:
        texts = [cells[column].rjust(width) for column, width in self._columns]
        return " ".join([*([name.ljust(32)] if self.is_sweep else []), *texts])


class LiveDisplay(Display):
    """A table that is redrawn four times per second."""

    def __init__(self, console: Console):
        super().__init__(console)
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console, refresh_per_second=4, get_renderable=self.draw, transient=False
        )
        self._live.start()

    def close(self) -> None:
        self.phase = ""
        self._live.stop()

    def begin(self, stop: Mapping[str, float], expected_trials: int) -> None:
        super().begin(stop, expected_trials)
        self._live.start()

    def draw(self) -> Group:
        """Render the current state; called from rich's refresh thread."""
        parts: list[Any] = []
        trials = list(self.trials.values())
        if self.phase:
            parts.append(self._waiting(self.phase, self.since))
        if self.is_sweep and trials:
            parts += [Text(self.counts(), style="bold"), self._sweep(trials)]
        else:
            for trial in trials:
                if trial.result:
                    parts.append(self._single(trial))
                if trial.phase:
                    parts.append(self._waiting(trial.waits_for, trial.since))
        return Group(*parts)

    def _waiting(self, phase: str, since: float) -> Spinner:
        self._spinner.update(text=Text(f"{phase} ({time.monotonic() - since:.0f} s)"))
        return self._spinner

    def _single(self, trial: TrialProgress) -> Table:
        table = Table.grid(padding=(0, 3))
        steps, updates, to_go = trial.env_steps, trial.grad_updates, trial.time_to_go(self.stop)
        steps_rate = trial.rate("num_env_steps_sampled_lifetime")
        updates_rate = trial.rate("num_grad_updates_lifetime")
        losses = ", ".join(f"{name} {format_number(loss)}" for name, loss in trial.losses().items())
        last = "" if trial.return_last is None else f", last {format_number(trial.return_last)}"
        for name, value, more in (
            ("env steps", format_int(steps), f"{format_number(steps_rate)} per second"),
            ("updates", format_int(updates), f"{format_number(updates_rate)} per second"),
            ("training ratio", format_number(trial.training_ratio), ""),
            (
                "episode return",
                format_number(trial.return_mean),
                f"mean{last}; length {format_number(trial.episode_length)}",
            ),
            ("evaluation return", format_number(trial.evaluation_return), "mean")
            if trial.evaluates
            else ("", "", ""),
            ("losses", "", losses),
            ("time", format_duration(trial.seconds), f"iteration {format_int(trial.iteration)}"),
            ("time to go", format_duration(to_go[0]), f"until {to_go[1]}")
            if to_go
            else ("", "", ""),
        ):
            if name:
                table.add_row(Text(name, style="dim"), Text(value, justify="right"), Text(more))
        return table

    def _sweep(self, trials: list[TrialProgress]) -> Table:
        table = Table(box=None, padding=(0, 1))
        table.add_column("trial", no_wrap=True)
        shown = {name for name, _ in self.columns}
        columns = [name for name in _SWEEP_COLUMNS if name in shown]
        for name in columns:
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True, style="dim")
        rank = {"running": 0, "pending": 1, "failed": 2, "finished": 3}
        trials = sorted(trials, key=lambda trial: rank[trial.state])
        most = max(3, self.console.height - 6)
        for trial in trials[:most]:
            style = {"failed": "red", "finished": "dim"}.get(trial.state, "")
            waits = f"{trial.waits_for} ({time.monotonic() - trial.since:.0f} s)"
            cells = self.cells(trial)
            table.add_row(
                Text(trial.name),
                *(cells[name] for name in columns),
                waits if trial.phase else trial.state,
                style=style,
            )
        if len(trials) > most:
            table.add_row(f"and {len(trials) - most} more")
        return table


def format_int(number: float | None) -> str:
    """Format ``1234567.0`` as ``1,234,567``; None as ``-``."""
    return "-" if number is None else f"{number:,.0f}"


def format_bytes(number: float) -> str:
    """Format ``8.04e6`` as ``8.04 MB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:.3g} KB"


def format_number(number: float | None) -> str:
    """Format a number with three to four significant digits; None as ``-``."""
    if number is None:
        return "-"
    if number == 0 or abs(number) >= 100:
        return f"{number:,.0f}"
    if abs(number) < 0.001:
        return f"{number:.1e}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.3g}"


def format_duration(seconds: float | None) -> str:
    """Format ``3725`` as ``1:02:05``; None as ``-``."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _number_type(result: Mapping[str, Any]) -> str:
    """Name the dtype of large products, and the speeds by which it was chosen."""
    dtype, speeds = result.get("learner_compute_dtype"), result.get("product_gflop_per_s", {})
    if not speeds:
        return f" in {dtype}" if dtype else ""
    measured = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
    return f" in {dtype} (GFLOP/s of a large product: {measured})"
