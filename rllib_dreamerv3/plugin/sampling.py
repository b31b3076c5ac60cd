"""Asks env runners for records, and does without those that hang or have died."""

import logging
import time
from typing import Any

import ray
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.typing import ResultDict

from rllib_dreamerv3.errors import EnvironmentFailedError
from rllib_dreamerv3.plugin.watchdog import last_words, name_of
from rllib_dreamerv3.records import RecordChunk

logger = logging.getLogger(__name__)

# Nobody is there to ask: not too often.
_PAUSE_S = 0.1
# As a multiple of the time after which an env runner is missed.
_MORE_PATIENCE = 10


class RemoteSampling:
    """Samples with the env runners of a group that are well, and brings the others back.

    While all are well, their records come in the order of the env runners, so that a run depends on
    its seed alone. One whose environment does not return in time is killed, for Ray to start it
    again. One that is busy with something else, such as compiling its policy, is left alone until
    it answers, or for ten times as long. Nobody waits for an env runner that is lost: it is asked
    now and then whether it is there.

    Attributes:
        replaced: How often an env runner was lost and came back, since this process began.
    """

    def __init__(self, group: EnvRunnerGroup, *, timeout_s: float | None, most_failures: int):
        """Takes over a group.

        Args:
            group: Its env runners.
            timeout_s: Seconds after which one that has not answered is replaced; None for never.
            most_failures: Failures in a row, of one env runner, that end the run.
        """
        self._group, self._timeout_s, self._most_failures = group, timeout_s, most_failures
        self._failures: dict[int, int] = {}
        self._pings: dict[int, ray.ObjectRef] = {}
        self._lost_at: dict[int, float] = {}
        self.replaced = 0

    def sample(self, arguments: dict[str, Any]) -> tuple[list[RecordChunk], list[ResultDict]]:
        """Lets every env runner that is well sample once.

        Args:
            arguments: Of ``DreamerV3EnvRunner.sample()``.

        Returns:
            The records, and the metrics of each env runner.

        Raises:
            EnvironmentFailedError: One has failed too often in a row.
        """
        manager = self._group._worker_manager
        asked = manager.healthy_actor_ids()
        if not asked:
            time.sleep(_PAUSE_S)
            return [], []
        answers = manager.foreach_actor(
            lambda runner: (runner.sample(**arguments), runner.get_metrics()),
            remote_actor_ids=asked,
            timeout_seconds=self._timeout_s,
        )
        good = {}
        silent = set(asked)
        for answer in answers:
            silent.discard(answer.actor_id)
            if answer.ok:
                good[answer.actor_id] = answer.get()
                self._failures.pop(answer.actor_id, None)
            else:
                self._failed(answer.actor_id, answer.get())
        for index in sorted(silent):
            self._lose(index)
        inorder = [good[index] for index in sorted(good)]
        return [chunk for chunks, _ in inorder for chunk in chunks], [m for _, m in inorder]

    def bring_back(self) -> list[int]:
        """Env runners that are there again after they were lost; waits for none.

        Returns:
            Their indices. They have no weights yet and the seeds of a restart.

        Raises:
            EnvironmentFailedError: One cannot be started any more.
        """
        manager = self._group._worker_manager
        lost = [i for i in manager.actor_ids() if not manager.is_actor_healthy(i)]
        back = []
        for index in lost:
            if index not in self._pings:
                self._pings[index] = manager.actors()[index].ping.remote()
            ready, _ = ray.wait([self._pings[index]], timeout=0)
            if not ready:
                if self._timeout_s and self._age(index) > _MORE_PATIENCE * self._timeout_s:
                    self._kill(index, f"{name_of(index, evaluation=False)} is silent")
                continue
            del self._pings[index]
            try:
                ray.get(ready[0])
            except ray.exceptions.ActorUnavailableError:
                continue  # It is starting.
            except ray.exceptions.RayError as error:
                self._failed(index, error)
                continue
            manager.set_actor_state(index, healthy=True)
            self._lost_at.pop(index, None)
            self.replaced += 1
            back.append(index)
        return back

    def _lose(self, index: int) -> None:
        """Does without an env runner that has not answered in time."""
        name = name_of(index, evaluation=False)
        doing = last_words(name)
        if doing:
            self._kill(index, doing)
        else:
            logger.warning("%s has not answered within %g s.", name, self._timeout_s)
        self._group._worker_manager.set_actor_state(index, healthy=False)

    def _kill(self, index: int, doing: str) -> None:
        """Ends an env runner's process, for Ray to start another."""
        logger.warning("%s. It did not answer within %g s and is replaced.", doing, self._timeout_s)
        self._count(index, doing, None)
        self._pings.pop(index, None)
        self._lost_at.pop(index, None)
        ray.kill(self._group._worker_manager.actors()[index], no_restart=False)

    def _age(self, index: int) -> float:
        """Seconds since an env runner was first missed."""
        return time.monotonic() - self._lost_at.setdefault(index, time.monotonic())

    def _failed(self, index: int, error: Exception) -> None:
        if not self._group._ignore_ray_errors_on_env_runners:
            raise error
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, EnvironmentFailedError):
            text = str(cause)
        else:
            text = f"{name_of(index, evaluation=False)}: {type(cause).__name__}: {cause}"
        logger.warning("%s", text)
        self._count(index, text, cause)

    def _count(self, index: int, what: str, cause: BaseException | None) -> None:
        self._failures[index] = self._failures.get(index, 0) + 1
        if self._failures[index] >= self._most_failures:
            raise EnvironmentFailedError(
                f"Env runner {index} failed {self._failures[index]} times in a row "
                f"(max_failures_in_a_row). The last time: {what}"
            ) from cause
