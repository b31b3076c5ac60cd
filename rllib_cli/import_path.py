"""Where modules that users name are looked for, here and in the processes of Ray."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def extend_import_path(directories: Sequence[str | Path] = ()) -> None:
    """Puts directories, then the working directory, before all others.

    Args:
        directories: Of ``--pythonpath``; processes that are started later look there too.
    """
    first = [*(str(Path(one).expanduser().resolve()) for one in directories), os.getcwd()]
    sys.path[:] = [*first, *(path for path in sys.path if path not in first)]
    after = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*first, *after]))
