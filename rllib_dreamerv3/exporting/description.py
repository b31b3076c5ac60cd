"""``policy.json`` of an exported policy: everything needed to act in addition to the model."""

import dataclasses
from typing import Any

from rllib_dreamerv3.agent.networks.saved import SavedNetworks
from rllib_dreamerv3.checkpoints.manifest import Manifest, package_version
from rllib_dreamerv3.exporting.step import input_names
from rllib_dreamerv3.portable.described import FORMAT, FORMAT_VERSION
from rllib_dreamerv3.portable.leaves import column_to_json, leaf_to_json
from rllib_dreamerv3.spaces.space_json import space_to_json


def describe(saved: SavedNetworks, manifest: Manifest) -> dict[str, Any]:
    """Describe a policy as plain JSON.

    Args:
        saved: The checkpoint's description of its networks.
        manifest: The checkpoint's manifest.

    Returns:
        The entries of the checkpoint's ``policy.json``, without the directory of its environment;
        time and amount of training when it was saved; and for programs without this package: sizes
        of the ``state``, and the encoding of each leaf of observations and actions. ``models`` and
        ``files`` are added later.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package_version": package_version(),
        "checkpoint": {
            name: getattr(manifest, name)
            for name in ("created", "env_steps", "updates", "iteration")
        },
        **dataclasses.asdict(saved.policy),
        "env_directory": None,
        **describe_acting(saved),
    }


def describe_acting(saved: SavedNetworks) -> dict[str, Any]:
    """Describe what :class:`ExportedPolicy` needs in addition to the model, as plain JSON."""
    names = input_names(saved.observations.layout)
    return {
        "action_space": space_to_json(saved.actions.space),
        "mode": saved.policy.options["evaluation_action"],
        "state": {
            "h": saved.settings.deterministic,
            "index": saved.settings.categoricals,
            "action": saved.actions.layout.size,
        },
        "observations": [
            {
                "path": list(path),
                "shape": list(leaf.env_shape),
                "input": names[leaf.key],
                "array": leaf_to_json(leaf),
                "column": column_to_json(leaf),
            }
            for path, leaf in saved.observations.parts
        ],
        "action_mask": _describe_mask(saved),
        "actions": [leaf_to_json(part) for part in saved.actions.parts],
    }


def _describe_mask(saved: SavedNetworks) -> dict[str, Any] | None:
    if saved.observations.mask is None:
        return None
    key, mask = saved.observations.mask
    return {
        "leaves": [
            {"path": [key, *leaf.path], "shape": list(leaf.space.shape)} for leaf in mask.leaves
        ],
        "choices": list(mask.choices),
    }
