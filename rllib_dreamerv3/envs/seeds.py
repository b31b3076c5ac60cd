"""Seeds of environments and actions, all derived from one root seed and all different."""

from collections.abc import Sequence
from typing import NamedTuple

from numpy.random import SeedSequence

TRAINING, EVALUATION = 0, 1
"""Roles of env runners."""


class SeedKey(NamedTuple):
    """Identifies the streams of one env runner since its last reset; unique within a run.

    Attributes:
        role: ``TRAINING`` or ``EVALUATION``.
        runner: Index of the env runner.
        generation: Number of restores of the run, and of saves for an exact resume.
        reset: Number of resets of all environments within the generation.
        incarnation: Random numbers for an env runner that was restarted after a crash, whose number
            of earlier resets is unknown; empty if it was not restarted.
    """

    role: int
    runner: int
    generation: int
    reset: int
    incarnation: tuple[int, ...] = ()

    def stream_prefix(self) -> str:
        """Return a prefix for the names of the streams, equal only for equal keys."""
        name = f"{'te'[self.role]}{self.runner}.{self.generation}.{self.reset}"
        return "-".join([name, *(f"{number:08x}" for number in self.incarnation)])

    def seeds(self, root: int | None, num_envs: int) -> tuple[list[int], SeedSequence]:
        """Return the seeds of the environments, and that of the actions' random generator.

        Args:
            root: The run's seed; None for different seeds each time.
            num_envs: Number of environments of the env runner.

        Returns:
            One seed from 0 to 2^31 - 1 for each environment, and a sequence for one generator.
        """
        key = () if root is None else self[:4] + self.incarnation
        *environments, actions = SeedSequence(root, spawn_key=key).spawn(num_envs + 1)
        return [int(one.generate_state(1)[0] >> 1) for one in environments], actions


def fresh_incarnation() -> tuple[int, ...]:
    """Return random numbers that no other env runner has."""
    entropy: Sequence[int] = SeedSequence().generate_state(2).tolist()
    return tuple(entropy)
