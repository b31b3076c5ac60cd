"""Writes `docs/options.md` and the short table of the README from the table of options.

    python docs/write_options.py

A test fails if they are stale.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rllib_dreamerv3.options.docstrings import default_text, unit_text, value_text
from rllib_dreamerv3.options.model_sizes import MODEL_SIZES
from rllib_dreamerv3.options.option import Option, options_of
from rllib_dreamerv3.options.rllibs import RLLIB_GROUPS, SUPPORTED, users_name
from rllib_dreamerv3.options.rllibs_refused import IDLE, IDLE_GROUPS, REFUSED, REFUSED_GROUPS, Names
from rllib_dreamerv3.options.table import (
    OPTIONS,
    REPLAY_BUFFER,
    TRAINING_GROUPS,
    CheckpointingOptions,
    DataOptions,
    EnvironmentOptions,
    EvaluationOptions,
    FaultToleranceOptions,
    ReplayBufferOptions,
    ReportingOptions,
    SamplingOptions,
)

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "options.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- options -->\n", "<!-- /options -->"

_INTRODUCTION = """\
# Options

DreamerV3's own options, and [those of RLlib's config](#rllibs-own-options). Use the names in
methods of the config and as keys below `config:` in a file. A misspelled name is an error that
suggests the nearest one. An invalid value is an error that lists the valid ones.

**v1** is arXiv 2301.04104v1 with the authors' code of 2023, **v2** the revision in Nature (2025)
with their code of 2025. Every difference between the two is an option, and any mixture runs.
Options with two defaults, and those of only one optimizer, are None in a config until they are set;
`config.resolved("norm")` returns the effective value.

Learning rates may be schedules `[[env step, rate], ...]`, interpolated linearly. The first point is
at env step 0, and env steps increase.
"""


def options_page() -> str:
    """All options as a Markdown page."""
    parts = [_INTRODUCTION]
    methods: list[tuple[str, type[Any]]] = [(".training()", group) for group in TRAINING_GROUPS]
    methods += [
        (".environment()", EnvironmentOptions),
        (".training(replay_buffer_config={...})", ReplayBufferOptions),
        (".env_runners()", SamplingOptions),
        (".evaluation()", EvaluationOptions),
        (".reporting()", ReportingOptions),
        (".checkpointing()", CheckpointingOptions),
        (".fault_tolerance()", FaultToleranceOptions),
        (".offline_data()", DataOptions),
    ]
    for call, group in methods:
        title = (group.__doc__ or "").strip()
        parts.append(f"## {title.partition(chr(10))[0].rstrip('.')}\n")
        parts.append(f"Arguments of `{call}`.\n")
        parts.append(
            _table(
                ("option", "may be", "v1", "v2", "meaning"),
                (
                    (
                        f"`{row.name}`",
                        row.words + unit_text(row),
                        *_two_defaults(row),
                        _meaning(row),
                    )
                    for row in options_of(group).values()
                ),
            )
        )
    parts.append(f"Model sizes: {', '.join(MODEL_SIZES)}.\n")
    parts.append(_rllibs_options())
    return "\n".join(parts)


def _rllibs_options() -> str:
    """The part of the page about options that come with RLlib's config."""
    parts = [
        "## RLlib's own options\n",
        f"RLlib's `AlgorithmConfig` (Ray 2.60) has {len(SUPPORTED) + len(REFUSED) + len(IDLE)} "
        f"other attributes. {len(SUPPORTED)} are supported. {len(REFUSED)} are rejected, with a "
        "reason, if they are set to anything but their default. "
        f"{len(IDLE)} have no effect, which is logged once.\n",
    ]
    for group in RLLIB_GROUPS:
        parts.append(f"### {(group.__doc__ or '').strip().rstrip('.')}\n")
        parts.append(
            _table(
                ("option", "may be", "default", "meaning"),
                (
                    (
                        f"`{users_name(row.name)}`",
                        row.words,
                        "" if row.v1 is None and not row.optional else value_text(row, row.v1),
                        row.sentence,
                    )
                    for row in options_of(group).values()
                ),
            )
        )
    parts += ["### Rejected\n", _names_table("reason, or what to do instead", REFUSED_GROUPS)]
    parts += ["### Without effect\n", _names_table("reason", IDLE_GROUPS)]
    return "\n".join(parts)


def _names_table(head: str, groups: Iterable[Names]) -> str:
    return _table(
        ("options", head),
        (
            (
                ", ".join(f"`{users_name(name)}`" for name in group.attributes),
                group.sentence[0].upper() + group.sentence[1:],
            )
            for group in groups
        ),
    )


def short_table() -> str:
    """Return the most common options as a Markdown table."""
    rows = [(f"`{row.name}`", row) for row in OPTIONS.values() if row.common]
    rows += [
        (f"`{row.name}` of `replay_buffer_config`", row)
        for row in REPLAY_BUFFER.values()
        if row.common
    ]
    return _table(
        ("option", "default", "meaning"),
        ((name, default_text(row), _meaning(row)) for name, row in rows),
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head)]
    lines.append(["---"] * len(lines[0]))
    lines += [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _meaning(row: Option) -> str:
    if row.only_with is None:
        return row.sentence
    other, value = row.only_with
    return f"{row.sentence} Only with `{other}: {value}`."


def _two_defaults(row: Option) -> tuple[str, str]:
    both = {"v1": value_text(row, row.v1), "v2": value_text(row, row.v2)}
    if row.only_with is not None:
        other, value = OPTIONS[row.only_with[0]], row.only_with[1]
        used = {variant: other.default(variant) == value for variant in both}
        if any(used.values()):
            # The optimizers' options, each of which has an effect in one version by default.
            both = {variant: text if used[variant] else "" for variant, text in both.items()}
    return both["v1"], both["v2"]


def with_short_table(text: str) -> str:
    """Replace what is between the two marks of a page by the short table.

    Raises:
        ValueError: If the page does not have both.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The page must have {BEGIN.strip()} and {END}.")
    return f"{head}{BEGIN}\n{short_table()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(options_page())
    README.write_text(with_short_table(README.read_text()))
