"""Checks of options: of each alone, and of their combinations. Plain values, no Ray."""

from collections.abc import Mapping
from typing import Any

from rllib_dreamerv3.errors import ConfigError, unknown_name
from rllib_dreamerv3.options.model_sizes import variant_of
from rllib_dreamerv3.options.option import Option
from rllib_dreamerv3.options.table import OPTIONS, REPLAY_BUFFER

# Reward, three flags, one byte of observation and one float of an action: no record is smaller.
SMALLEST_RECORD_BYTES = 12


def resolve(rows: Mapping[str, Option], given: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """Complete options by a variant's defaults.

    Args:
        rows: The options to return.
        given: Options that are set; None stands for the variant's default.
        variant: "v1" or "v2".

    Returns:
        Name -> value, for every row.
    """
    return {
        name: row.default(variant) if given.get(name) is None else given[name]
        for name, row in rows.items()
    }


# Mappings that RLlib processes before it checks them.
_MAPPINGS = ("env_config", "evaluation_config", "replay_buffer_config", "learner_config_dict")


def check_mapping(name: str, value: Any) -> None:
    """Raise ConfigError if an option that must be a mapping is not."""
    is_config = hasattr(value, "to_dict")
    may_be_none = name == "evaluation_config" and value is None
    if name in _MAPPINGS and not (isinstance(value, Mapping) or is_config or may_be_none):
        raise ConfigError(f"{name} must be a mapping of options, not {value!r}.")


def check_options(given: Mapping[str, Any], environments: int = 1) -> None:
    """Check the options of the table.

    Args:
        given: Name -> value of the options that are set.
        environments: Number of environments that fill the replay buffer.

    Raises:
        ConfigError: For the first invalid one; names the valid values.
    """
    size = given.get("model_size") or OPTIONS["model_size"].v1
    variant = variant_of(size, given.get("variant"))
    for name, row in OPTIONS.items():
        unset = given.get(name) is None and (row.is_late or row.only_with is not None)
        if name in given and not unset:
            row.check(given[name])
    options = resolve(OPTIONS, given, variant)
    replay = check_replay_buffer(options["replay_buffer_config"], variant)
    _check_that_learning_starts(options, replay, environments)
    _check_contradictions(options, given)
    if split_parts(options["start_parts"]) and not options["start_checkpoint"]:
        raise ConfigError("start_parts needs start_checkpoint, from which the networks are taken.")
    split_frozen(options["freeze_parts"])


WORLD_MODEL = ("encoder", "rssm", "decoder", "reward", "continue", "mask")
PARTS = (*WORLD_MODEL, "actor", "critic", "ensemble", "intrinsic_critic")
"""Networks, as they are named in ``start_parts`` and in checkpoints."""


def split_parts(start_parts: str | None) -> list[str]:
    """Return the names in ``start_parts``; empty if it is not set.

    Raises:
        ConfigError: If there is no such network; names the nearest.
    """
    names = _split(start_parts)
    for name in names:
        if name not in PARTS:
            raise unknown_name("network in start_parts", name, PARTS)
    return names


def split_frozen(freeze_parts: str | None) -> list[str]:
    """Return the names in ``freeze_parts``; empty if it is not set.

    Raises:
        ConfigError: If the world model has no such network; names the nearest, or another option.
    """
    names = _split(freeze_parts)
    for name in names:
        if name in ("actor", "critic"):
            raise ConfigError(
                f"freeze_parts names networks of the world model. Set train_{name}: false to "
                f"freeze the {name}."
            )
        if name not in WORLD_MODEL:
            raise unknown_name("network in freeze_parts", name, WORLD_MODEL)
    return names


def _split(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def check_rows_of_learners(batch_size: int, learners: int) -> None:
    """Reject a batch that cannot be divided equally among the learners.

    Args:
        batch_size: Rows of a batch.
        learners: Number of learner processes; 0 for the main process.

    Raises:
        ConfigError: If the division has a remainder; names the nearest valid sizes.
    """
    left = batch_size % learners if learners else 0
    if left:
        nearest = [x for x in (batch_size - left, batch_size - left + learners) if x]
        raise ConfigError(
            f"batch_size_B: {batch_size} cannot be divided equally among num_learners: {learners}. "
            f"The nearest valid: {' and '.join(map(str, nearest))}."
        )


def check_replay_buffer(given: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """Check ``replay_buffer_config``, and complete it by a variant's defaults.

    Raises:
        ConfigError: If a key is unknown or its value invalid.
    """
    for key in given:
        if key not in REPLAY_BUFFER:
            raise unknown_name("replay_buffer_config key", str(key), REPLAY_BUFFER)
    replay = resolve(REPLAY_BUFFER, given, variant)
    if given.get("capacity") is None and replay["capacity_bytes"] is None:
        replay["capacity_bytes"] = "auto"
    for name, row in REPLAY_BUFFER.items():
        try:
            row.check(replay[name])
        except ConfigError as error:
            raise ConfigError(f"replay_buffer_config {error}") from None
    return replay


def records_to_start(options: Mapping[str, Any], environments: int) -> int:
    """Records that replay must be able to hold so that updates begin.

    The last ``replay_context + batch_length_T`` records of each environment do not count as starts.
    """
    sequence = options["replay_context"] + options["batch_length_T"]
    return options["num_steps_sampled_before_learning_starts"] + environments * sequence


def _check_that_learning_starts(
    options: Mapping[str, Any], replay: Mapping[str, Any], environments: int
) -> None:
    records = records_to_start(options, environments)
    needed = "num_steps_sampled_before_learning_starts + a sequence for each environment"
    if replay["capacity"] < records:
        raise ConfigError(
            f"replay_buffer_config capacity must be at least {records} records ({needed}), not "
            f"{replay['capacity']}: training would never start."
        )
    # Only a lower limit: the size of a record depends on the environment. Replay checks it again
    # when it is known.
    least, given = records * SMALLEST_RECORD_BYTES, replay["capacity_bytes"]
    if given not in (None, "auto") and given < least:
        raise ConfigError(
            f"replay_buffer_config capacity_bytes must be at least {least} for {records} records "
            f"({needed}) of the smallest kind, not {given}: training would never start."
        )


def _check_contradictions(options: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    for name, row in OPTIONS.items():
        # The config's default is not a request.
        if row.only_with is None or given.get(name) in (None, row.config_default):
            continue
        other, needed = row.only_with
        if options[other] != needed:
            instead = [x.name for x in OPTIONS.values() if x.only_with == (other, options[other])]
            which = f", which has {', '.join(instead)}" if instead else ""
            raise ConfigError(
                f"{name} has no effect with {other}: {options[other]!r}{which}. Leave it out, or "
                f"set {other}: {needed!r}."
            )
    if options["use_curiosity"] and not options["train_actor"]:
        raise ConfigError(
            "use_curiosity has no effect with train_actor: false, as it changes only what the "
            "actor learns. Set train_actor: true, or use_curiosity: false."
        )
    last, length = options["imag_last"], options["batch_length_T"]
    if last > length:
        raise ConfigError(
            f"imag_last must be at most batch_length_T, {length}, not {last}. Set 0 to start "
            "imagination from all records."
        )
    if last == 1 and options["replay_critic_scale"]:
        raise ConfigError(
            "imag_last must be 0 or at least 2 with replay_critic_scale above 0: returns on replay "
            "need two records in a row."
        )
    if options["discount_in_continue"] and options["imagined_continues"] == "mode":
        raise ConfigError(
            "discount_in_continue puts the discount into the predicted continue probability, which "
            'imagined_continues: "mode" does not use: nothing would be discounted. Set '
            'imagined_continues: "probability", or discount_in_continue: false.'
        )
