"""Acting with an exported policy: encodes observations, runs a model, decodes actions.

NumPy is all that is needed, and whatever runs the model. This folder is copied into every policy
that is exported, hence the imports that are relative, and that nothing here knows the rest of
the package; which uses the same functions for its own spaces.

Example:
    >>> from policy_io import load
    >>> policy = load("exported", format="litert")
    >>> policy.reset()
    >>> action = policy(observation)
"""

from .acting import ExportedPolicy, load

__all__ = ["ExportedPolicy", "load"]
