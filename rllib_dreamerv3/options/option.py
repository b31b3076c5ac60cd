"""What a row of the table of options holds, and the check that follows from it."""

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rllib_dreamerv3.errors import ConfigError
from rllib_dreamerv3.options.learning_rate import LearningRate, check_learning_rate
from rllib_dreamerv3.options.replay_sampling import WAYS, ReplaySampling, check_replay_sampling

_ROW = "option"
# Kind -> its values in words, and its check.
_KINDS: dict[Any, tuple[str, Callable[[str, Any], None]]] = {
    LearningRate: (
        "a number above 0 or a schedule [[env step, rate], ...]",
        check_learning_rate,
    ),
    ReplaySampling: (
        f"{' or '.join(map(repr, WAYS))} or a mapping to their fractions",
        check_replay_sampling,
    ),
}
_WORDS = {
    bool: "true or false",
    dict: "a mapping",
    str: "a name",
    type: "a class (in files module:Class)",
    Callable: "a function or a list of functions (in files module:function)",
    Any: "what RLlib accepts",
}


@dataclass(frozen=True)
class Option:
    """One option of the config.

    Attributes:
        name: What users call it.
        kind: ``bool``, ``int``, ``float``, ``str``, ``dict``, :data:`LearningRate`,
            :data:`ReplaySampling`, a ``Literal`` of its choices, ``type`` or ``Callable`` (one or
            several), or ``Any`` for what is not checked.
        optional: Whether None is a value of its own.
        v1: Default of the variant "v1".
        v2: Default of the variant "v2".
        sentence: What it does.
        least: Smallest value.
        above: Value that it must exceed.
        most: Largest value.
        unit: Of a number, in the plural.
        only_with: Another option, and the value that this one requires.
        common: Whether it is among the few that most users meet first.
        also: Values that it may have beside those of its kind.
        idle: Whether it has no effect in a new config, because ``only_with`` is not met.
    """

    name: str
    kind: Any
    optional: bool
    v1: Any
    v2: Any
    sentence: str
    least: float | None
    above: float | None
    most: float | None
    unit: str
    only_with: tuple[str, Any] | None
    common: bool
    also: tuple[Any, ...] = ()
    idle: bool = False

    @property
    def choices(self) -> tuple[Any, ...]:
        """All values there are; empty if they cannot be listed."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def is_late(self) -> bool:
        """Whether the config holds None until the user sets it, as other options decide it."""
        return self.v1 != self.v2 or self.idle

    @property
    def config_default(self) -> Any:
        """What a new config holds."""
        return None if self.is_late else self.v1

    def default(self, variant: str) -> Any:
        """The value of an option that is not set."""
        return self.v2 if variant == "v2" else self.v1

    @property
    def words(self) -> str:
        """The allowed values, for messages."""
        none = ["None"] if self.optional else []
        if self.choices:
            return " or ".join([*map(_as_written, self.choices), *none])
        if self.kind in _KINDS:
            return _KINDS[self.kind][0]
        words = _WORDS.get(self.kind) or self._words_of_number()
        return " or ".join([words, *map(_as_written, self.also), *none])

    def _words_of_number(self) -> str:
        words = "a whole number" if self.kind is int else "a number"
        if self.least is not None and self.most is not None:
            return f"{words} from {self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"{words} of at least {self.least:g}"
        return words if self.above is None else f"{words} above {self.above:g}"

    def check(self, value: Any) -> None:
        """Check a value that is about to be used.

        Raises:
            ConfigError: If the value is not allowed; names the allowed values.
        """
        if value is None and self.optional:
            return
        if self.kind in _KINDS:
            _KINDS[self.kind][1](self.name, value)
        elif not self._allows(value):
            near = _nearest_choice(self, value)
            raise ConfigError(f"{self.name} must be {self.words}, not {value!r}.{near}")

    def _allows(self, value: Any) -> bool:
        # Types count: True equals 1, and is something else.
        if any(type(value) is type(x) and value == x for x in (*self.choices, *self.also)):
            return True
        if self.choices:
            return False
        if self.kind is Any:
            return True
        if self.kind in (type, Callable):
            several = value if isinstance(value, list | tuple) else [value]
            return all(isinstance(x, self.kind) for x in several)
        if self.kind in (bool, str, dict):
            return isinstance(value, self.kind)
        number = Integral if self.kind is int else Real
        if isinstance(value, bool) or not isinstance(value, number) or not math.isfinite(value):
            return False
        x = float(value)
        return (
            (self.least is None or x >= self.least)
            and (self.above is None or x > self.above)
            and (self.most is None or x <= self.most)
        )


def option(
    default: Any,
    sentence: str,
    *,
    v2: Any = dataclasses.MISSING,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    unit: str = "",
    only_with: tuple[str, Any] | None = None,
    common: bool = False,
    also: tuple[Any, ...] = (),
) -> Any:
    """One row of the table: the default of a dataclass's field, with all else there is to know.

    Args:
        default: Of v1; and of v2, unless that is given.
        sentence: What the option does, for users.
        v2: Default of v2, where it is another one.
        least: See :class:`Option`, as for all the others.
        above: See there.
        most: See there.
        unit: See there.
        only_with: See there.
        common: See there.
        also: See there.

    Returns:
        A field for the body of a dataclass.
    """
    row = {
        "sentence": sentence,
        "v1": default,
        "v2": default if v2 is dataclasses.MISSING else v2,
        "least": least,
        "above": above,
        "most": most,
        "unit": unit,
        "only_with": only_with,
        "common": common,
        "also": also,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={_ROW: row})
    return dataclasses.field(default=default, metadata={_ROW: row})


def options_of(*groups: type[Any]) -> Mapping[str, Option]:
    """The rows of dataclasses by their names, in the order of the table."""
    found = {}
    for group in groups:
        hints = get_type_hints(group)
        rows = {x.name: x.metadata[_ROW] for x in dataclasses.fields(group) if _ROW in x.metadata}
        for name, row in rows.items():
            kind, optional = _kind(hints[name])
            other, needed = row["only_with"] or (name, row["v1"])
            found[name] = Option(name, kind, optional, **row, idle=rows[other]["v1"] != needed)
    return found


def _kind(hint: Any) -> tuple[Any, bool]:
    """Take ``None`` out of a union of two types."""
    if hint not in _KINDS and get_origin(hint) in (Union, UnionType):
        kinds = [x for x in get_args(hint) if x is not type(None)]
        return kinds[0], True
    return get_origin(hint) if get_origin(hint) is dict else hint, False


def _as_written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _nearest_choice(option: Option, value: Any) -> str:
    names: Iterable[str] = [x for x in option.choices if isinstance(x, str)]
    given = str(value).lower()
    near = [x for x in names if given and x.lower().startswith(given)]
    near = near or difflib.get_close_matches(given, names, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
