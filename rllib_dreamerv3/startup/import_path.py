"""A directory at the end of the import path, in this process and in those that Ray starts.

``PYTHONPATH`` would put it before installed packages: a ``numpy.py`` in it would be imported
instead of NumPy.
"""

import os
import sys

VARIABLE = "RLLIB_DREAMERV3_IMPORT_LAST_FROM"


def import_last_from(directory: str) -> None:
    """Add a directory to the end of the import path; processes started later inherit it."""
    os.environ[VARIABLE] = directory
    extend_import_path()


def extend_import_path() -> None:
    """Add the inherited directory, if there is one."""
    directory = os.environ.get(VARIABLE)
    if directory and directory not in sys.path:
        sys.path.append(directory)
