"""Discards messages that TensorFlow's C++ code writes before any log level applies."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# "I0000 00:00:1795999415.522825   13524 cudart_stub.cc:31] Could not find cuda drivers ...".
_NATIVE_LOG = re.compile(
    rb"^(WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d .*?: [IWE] )"
)


@contextmanager
def without_native_logs() -> Iterator[None]:
    """Discard lines of C++ logs on standard error inside the block, unless it fails.

    Other lines are written at the end of the block. Nothing is discarded if the user has set
    ``TF_CPP_MIN_LOG_LEVEL`` below 2, to see messages.
    """
    wants_messages = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "") in ("0", "1")
    try:
        terminal = None if wants_messages else os.dup(2)
    except OSError:  # Standard error is closed.
        terminal = None
    if terminal is None:
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
            buffer.seek(0)
            kept = [line for line in buffer if failed or not _NATIVE_LOG.match(line)]
            if kept:
                os.write(2, b"".join(kept))
