"""A dataset: recorded episodes in some format."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from rllib_dreamerv3.data.episode import Episode
from rllib_dreamerv3.errors import DataError
from rllib_dreamerv3.spaces.codecs import Spaces

logger = logging.getLogger(__name__)


class Dataset(ABC):
    """Recorded episodes in one format.

    Attributes:
        format: Name of the format.
        place: Path or name of the data, for messages.
        spaces: Spaces of the environment; None if the format does not have them.
        env: Id of the environment; None if it is unknown.
    """

    format: str
    place: str
    spaces: Spaces | None = None
    env: str | None = None

    @abstractmethod
    def parts(self) -> Sequence[str]:
        """Return the names of the parts, such as files, that are read one after the other."""

    @abstractmethod
    def read(self, part: str) -> Iterator[Episode]:
        """Yield the episodes of a part, in the order in which they were recorded.

        Raises:
            DataError: If the part is damaged.
        """

    def episodes(self, *, skip_damaged: bool = False) -> Iterator[Episode]:
        """Yield all episodes.

        Args:
            skip_damaged: Whether to log a part that cannot be read and continue with the next one.

        Raises:
            DataError: If a part cannot be read, unless ``skip_damaged`` is set.
        """
        for part in self.parts():
            try:
                yield from self.read(part)
            except DataError as error:
                if not skip_damaged:
                    raise
                logger.warning("Skipped the rest of %s. %s", part, error)
