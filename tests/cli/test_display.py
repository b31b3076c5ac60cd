"""What is shown, from results that a real run reported."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from rllib_cli.display import (
    LiveDisplay,
    PlainDisplay,
    format_duration,
    format_int,
    format_number,
)
from rllib_cli.progress import TrialProgress, look_up

RESULTS = json.loads(Path(__file__).with_name("recorded_results.json").read_text())


def console(**options):
    return Console(file=io.StringIO(), width=120, soft_wrap=True, **options)


def drawn(live):
    """The lines of a live display as they are now."""
    plain = Console(file=io.StringIO(), width=100)
    plain.print(live.draw())
    return plain.file.getvalue().splitlines()


def show_all(display, results=RESULTS):
    for result in results:
        display.trial_reports("t0", "00000", result)


def test_plain_display_prints_waits_then_a_header_and_one_line_per_result():
    display = PlainDisplay(console())
    display.begin({"num_env_steps_sampled_lifetime": 13500}, expected_trials=1)
    display.set_phase("starting Ray")
    display.set_phase("starting Ray")
    display.trial_waits("t0", "00000", "filling replay buffer")
    show_all(display)
    lines = display.console.file.getvalue().splitlines()
    assert lines[:3] == [
        "starting Ray ...",
        "filling replay buffer ...",
        "filling replay buffer 6,641/12,000 sequence starts, then compiling the first update ...",
    ]
    assert lines[3].split()[:3] == ["iter", "env", "steps"]
    assert len(lines) == 4 + len(RESULTS) - 1
    assert lines[4].split() == [
        *("2", "11,507", "1", "16.0", "20.4", "-", "20.4", "9.49", "-7.9e-05", "7.79"),
        *("-", "-", "-"),
    ]
    # By hand, from the 2nd to the 6th result: 544 steps and 148 updates in 8.08 s.
    assert lines[8].split()[-3:] == [
        "67.3",
        "18.3",
        format_duration((13500 - 12051) / (544 / 8.08)),
    ]


EVALUATED = {"evaluation": {"env_runners": {"episode_return_mean": 123.4}}}


@pytest.mark.parametrize("trials", [1, 2])
def test_evaluation_has_a_column_where_there_is_one(trials):
    """From the first line on, though the first evaluation comes later."""
    evaluates = {"config": {"evaluation_interval": 3}}
    results = [RESULTS[1] | evaluates, RESULTS[2] | evaluates | EVALUATED]
    plain = PlainDisplay(console())
    live = LiveDisplay(console(force_terminal=True, legacy_windows=False))
    for display in (plain, live):
        with display:
            display.begin({}, expected_trials=trials)
            show_all(display, results)
    header, first, second = plain.console.file.getvalue().splitlines()[-3:]
    place = header.index("eval") + 4
    assert [line[:place].split()[-1] for line in (first, second)] == ["-", "123"]
    assert any("123" in line for line in drawn(live))
    assert "eval" in "".join(drawn(live))


def test_machines_are_shown_when_known_and_when_they_change():
    display = PlainDisplay(console())
    display.begin({}, expected_trials=1)
    both = {"10.0.0.2": "4 env runners", "10.0.0.1": "main process, 1 learner"}
    fewer = {"10.0.0.1": "main process, 1 learner"}
    for machines in (None, both, both, None, fewer):
        given = {} if machines is None else {"machines": machines}
        display.trial_reports("t0", "00000", RESULTS[0] | {"learner_device": "CPU"} | given)
    lines = display.console.file.getvalue().splitlines()
    title = "Processes by machine:"
    assert [line for line in lines if line == title or line.startswith("  10.")] == [
        *(title, "  10.0.0.1: main process, 1 learner", "  10.0.0.2: 4 env runners"),
        *(title, "  10.0.0.1: main process, 1 learner"),
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "run on the CPU."),
        ({"learner_compute_dtype": "float32"}, "run on the CPU in float32."),
        ({"learner_compute_dtype": "bfloat16"}, "run on the CPU in bfloat16."),
        (
            {
                "learner_compute_dtype": "bfloat16",
                "product_gflop_per_s": {"float32": 137.4, "bfloat16": 1565.0},
            },
            "on the CPU in bfloat16 (GFLOP/s of a large product: float32 137, bfloat16 1,565).",
        ),
    ],
)
def test_the_dtype_is_shown_with_the_speeds_that_were_measured(given, words):
    display = PlainDisplay(console())
    display.begin({}, expected_trials=1)
    display.trial_reports("t0", "00000", RESULTS[0] | {"learner_device": "CPU"} | given)
    assert words in " ".join(display.console.file.getvalue().split())


@pytest.mark.parametrize(("place", "words"), [("machine", "memory"), ("disk", "free disk space")])
def test_maximum_replay_size_is_shown_once(place, words):
    display = PlainDisplay(console())
    display.begin({}, expected_trials=1)
    room = {
        "num_bytes_at_capacity": 12.3e9,
        "num_bytes_of_checkpoint": 14.5e9,
        f"num_bytes_of_{place}": 23e9,
    }
    show_all(display, [r | {"replay_buffer": r["replay_buffer"] | room} for r in RESULTS])
    output = display.console.file.getvalue()
    assert output.count("Replay may grow to") == 1
    assert f"Replay may grow to 12.3 GB, of 23 GB {words}, and adds" in output
    assert "up to 14.5 GB to each checkpoint on disk" in output


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (
            8000,
            "Replay may grow to 5.44 MB by 8,000 env steps, of 16 GB memory, and adds up to 5.44",
        ),
        (10**9, "Replay may grow to 3.09 GB, of 16 GB memory, and adds up to 3.09 GB to"),
    ],
)
def test_replay_grows_no_further_than_the_run_goes(steps, expected):
    display = PlainDisplay(console())
    display.begin({"num_env_steps_sampled_lifetime": steps}, expected_trials=1)
    # Records of 618 bytes, in episodes of ten steps, which have eleven records.
    room = {
        "num_bytes_at_capacity": 3.09e9,
        "num_bytes_of_checkpoint": 3.09e9,
        "num_records_at_capacity": 5e6,
        "num_records": 1100,
        "num_env_steps_stored": 1000,
        "num_bytes_of_machine": 16e9,
    }
    show_all(display, [{"replay_buffer": room}])
    assert expected in display.console.file.getvalue()


def test_time_to_go_is_that_of_the_nearest_predictable_criterion():
    trial = TrialProgress("00000")
    for result in RESULTS:
        trial.update(result)
    stop = {
        "env_runners/episode_return_mean": 450,
        "num_env_steps_sampled_lifetime": 13500,
        "time_total_s": 40,
    }
    seconds, name = trial.time_to_go(stop)
    assert name == "time_total_s"
    assert seconds == pytest.approx(40 - 29.382)
    assert trial.time_to_go({"env_runners/episode_return_mean": 450}) is None
    assert trial.time_to_go({}) is None


def test_rates_leave_out_the_filling_of_the_buffer_and_compiling():
    trial = TrialProgress("00000")
    trial.update(RESULTS[0])
    trial.update(RESULTS[1])
    assert trial.rate("num_env_steps_sampled_lifetime") is None
    trial.update(RESULTS[2])
    # 137 steps in 2.009 s, not the thousands of random steps before.
    assert trial.rate("num_env_steps_sampled_lifetime") == pytest.approx(137 / 2.009, rel=1e-3)


def run_with(rates, seconds=10.0):
    """A trial whose intervals between results have these updates a second."""
    trial, time, updates = TrialProgress("00000"), 20.0, 1.0
    trial.update({"time_total_s": 10.0})
    for rate in (0.0, *rates):
        time, updates = time + seconds, updates + seconds * rate
        trial.update(
            {
                "time_total_s": time,
                "num_grad_updates_lifetime": updates,
                "num_env_steps_sampled_lifetime": 1000 + updates,
            }
        )
        yield trial


UPDATES = "num_grad_updates_lifetime"


def test_the_time_to_go_waits_until_rates_are_stable():
    stop = {"num_env_steps_sampled_lifetime": 3000}
    times = [trial.time_to_go(stop) for trial in run_with([10.0] * 5)]
    assert times[:3] == [None] * 3
    assert times[3] == (pytest.approx((3000 - 1301) / 10), "num_env_steps_sampled_lifetime")
    # An update was compiled in the first interval.
    times = [trial.time_to_go(stop) for trial in run_with([0.1, *[10.0] * 5])]
    assert times[:4] == [None] * 4
    assert times[4][0] == pytest.approx((3000 - 1302) / 10)


def test_rates_are_those_of_the_last_minute():
    rates = [trial.rate(UPDATES) for trial in run_with([*[10.0] * 10, *[2.0] * 6])]
    assert rates[10] == pytest.approx(10)
    assert rates[-1] == pytest.approx(2)
    # Intervals that take longer are averaged, too.
    rates = [trial.rate(UPDATES) for trial in run_with([10.0, 10.0, 1.0, 2.0, 3.0], seconds=100.0)]
    assert rates[-1] == pytest.approx(2)


def test_a_slow_interval_later_belongs_to_the_rate():
    *_, trial = run_with([10.0, 10.0, 10.0, 1.0, 10.0], seconds=60.0)
    assert trial.rate(UPDATES) == pytest.approx(7)


def test_rates_are_reset_after_a_restart_from_an_earlier_checkpoint():
    trial = TrialProgress("00000")
    for result in [*RESULTS, RESULTS[3]]:
        trial.update(result)
    assert trial.rate("num_grad_updates_lifetime") is None
    trial.update(RESULTS[4])
    assert trial.rate("num_grad_updates_lifetime") == pytest.approx(30 / 2.03, rel=1e-3)


def test_compiling_is_reported_once_the_buffer_is_full():
    trial = TrialProgress("00000")
    full = {**RESULTS[0], "replay_buffer": {"num_windows": 12001, "prefill_target": 12000}}
    trial.update(full)
    assert trial.waits_for == "compiling the first update"
    trial.update(RESULTS[1])
    assert trial.waits_for == ""


# The first result is empty, in the second no value is a number.
UNKNOWN = [{}, {"env_runners": None, "training_iteration": "x", "time_total_s": float("nan")}]


def test_plain_display_shows_a_dash_for_every_number_it_does_not_know():
    display = PlainDisplay(console())
    display.begin({"training_iteration": 3}, expected_trials=1)
    show_all(display, UNKNOWN)
    header, *lines = display.console.file.getvalue().splitlines()
    assert header.split()[:3] == ["iter", "env", "steps"]
    assert [line.split() for line in lines] == [["-"] * 13, ["-"] * 13]


def test_live_display_shows_a_dash_for_every_number_it_does_not_know():
    display = LiveDisplay(console())
    with display:
        display.begin({"training_iteration": 3}, expected_trials=1)
        show_all(display, UNKNOWN)
    assert [line.split() for line in drawn(display)] == [
        *(["env", "steps", "-", "-", "per", "second"], ["updates", "-", "-", "per", "second"]),
        *(["training", "ratio", "-"], ["episode", "return", "-", "mean;", "length", "-"]),
        ["losses", "world", "-,", "actor", "-,", "critic", "-"],
        ["time", "-", "iteration", "-"],
    ]


def test_live_display_shows_the_last_state():
    display = LiveDisplay(console(force_terminal=True, legacy_windows=False))
    with display:
        display.begin({"num_env_steps_sampled_lifetime": 13500}, expected_trials=1)
        show_all(display)
    text = "\n".join(drawn(display))
    for part in ("12,051", "67.3 per second", "149", "mean; length 11.8", "world 7.96", "0:00:22"):
        assert part in text


def test_live_display_works_for_one_experiment_after_the_other():
    display = LiveDisplay(console(force_terminal=True, legacy_windows=False))
    for _ in range(2):
        display.begin({}, expected_trials=1)
        show_all(display)
        assert display._live.is_started
        display.close()
        assert not display._live.is_started


def test_sweeps_count_trials_and_name_them():
    live = LiveDisplay(console(force_terminal=True, legacy_windows=False))
    live.close()
    plain = PlainDisplay(console())
    for display in (live, plain):
        display.begin({"training_iteration": 10}, expected_trials=4)
        for number, name in enumerate(("lr=1", "lr=[2]", "lr=3")):
            display.trial(f"t{number}", name)
        display.trial_reports("t0", "lr=1", RESULTS[2])
        display.trial_reports("t1", "lr=[2]", RESULTS[0])
        display.trial_ends("t1", "lr=[2]", failed=True)
        assert display.counts() == "1 running, 2 pending, 0 finished, 1 failed"
        display.close()
    rows = drawn(live)
    assert [row.split()[0] for row in rows[2:]] == ["lr=1", "lr=3", "lr=[2]"]
    assert rows[-1].split()[-1] == "failed"
    assert "lr=[2] failed; 1 running" in plain.console.file.getvalue()


def test_a_long_wait_is_mentioned_again(monkeypatch):
    import rllib_cli.display

    display = PlainDisplay(console())
    display.begin({}, expected_trials=1)
    display.trial_waits("t0", "00000", "compiling the first update")
    display.tick()
    before = display.console.file.getvalue()
    monkeypatch.setattr(rllib_cli.display, "_REMINDER_S", 0)
    display.tick()
    assert display.console.file.getvalue()[len(before) :].startswith("compiling the first update")


def test_numbers_are_short():
    assert [format_number(x) for x in (None, 0, 1234.5, 12.34, 0.01234, 1.2e-5, -3.14159)] == [
        *("-", "0", "1,234", "12.3", "0.0123", "1.2e-05", "-3.14")
    ]
    assert format_int(1234567.0) == "1,234,567"
    assert [format_duration(x) for x in (None, 0, 59.6, 3725)] == [
        "-",
        "0:00:00",
        "0:01:00",
        "1:02:05",
    ]


def test_missing_and_undefined_numbers_are_none():
    assert look_up({"a": {"b": 1}}, "a/b") == 1
    for result in ({}, {"a": 1}, {"a": {"b": float("nan")}}, {"a": {"b": "x"}}):
        assert look_up(result, "a/b") is None
