"""Seeds of environments and of actions: one root, and no two places that share a seed."""

from collections.abc import Sequence
from typing import NamedTuple

from numpy.random import SeedSequence

TRAINING, EVALUATION = 0, 1
"""What sampling is for."""


class SeedKey(NamedTuple):
    """What tells the streams of one env runner from all others.

    Attributes:
        role: ``TRAINING`` or ``EVALUATION``.
        runner: Index of the env runner.
        generation: Counts how often the run was restored, or saved for an exact resume.
        reset: Counts the resets of all environments within the generation.
        incarnation: Fresh numbers for an env runner that was started again after a crash, whose
            resets before it nobody knows; empty for one that never was.
    """

    role: int
    runner: int
    generation: int
    reset: int
    incarnation: tuple[int, ...] = ()

    def stream_prefix(self) -> str:
        """A name for the streams that begin here, equal only for equal places."""
        name = f"{'te'[self.role]}{self.runner}.{self.generation}.{self.reset}"
        return "-".join([name, *(f"{number:08x}" for number in self.incarnation)])

    def seeds(self, root: int | None, num_envs: int) -> tuple[list[int], SeedSequence]:
        """Seeds for the environments and the source of the actions' noise.

        Args:
            root: The run's seed; None for different seeds each time.
            num_envs: Environments of the env runner.

        Returns:
            One seed from 0 to 2^31 - 1 for each environment, and a sequence for one generator.
        """
        key = () if root is None else self[:4] + self.incarnation
        *environments, actions = SeedSequence(root, spawn_key=key).spawn(num_envs + 1)
        return [int(one.generate_state(1)[0] >> 1) for one in environments], actions


def fresh_incarnation() -> tuple[int, ...]:
    """Numbers that no other env runner has."""
    entropy: Sequence[int] = SeedSequence().generate_state(2).tolist()
    return tuple(entropy)
