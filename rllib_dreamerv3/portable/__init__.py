"""Acting with an exported policy: encodes observations, runs a model, decodes actions.

Needs only NumPy and a runtime for the model. This folder is copied into every exported policy under
the name ``policy_io``, hence the relative imports. The package uses the same functions for its own
spaces.

Example:
    >>> from policy_io import load
    >>> policy = load("exported", format="litert")
    >>> policy.reset()
    >>> action = policy(observation)
"""

from .exported_policy import ExportedPolicy, load

__all__ = ["ExportedPolicy", "load"]
