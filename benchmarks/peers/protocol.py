"""The measured side: a process that works once for each line it is sent.

It writes one JSON object a line: first what it is, then one for each line it reads, and, when its
input ends, what is known only afterwards. Only the standard library, for it runs in any
environment.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any


class Answers:
    """Standard output, kept for the answers; what libraries print there goes to standard error.

    To be created before anything is imported that might print.
    """

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def serve(
        self,
        hello: Mapping[str, Any],
        work: Callable[[], Mapping[str, Any]],
        goodbye: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Answer until the input ends.

        Args:
            hello: What this process is.
            work: What is done for each line; returns the answer.
            goodbye: What is known at the end, besides the memory.
        """
        self._write(hello)
        for _ in sys.stdin:
            self._write(work())
        peak_rss_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        self._write({**goodbye(), "peak_rss_gb": peak_rss_gb})

    def _write(self, message: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()
