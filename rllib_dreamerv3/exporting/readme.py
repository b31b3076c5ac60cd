"""The README of an exported policy: contents of the folder, and how to act with it."""

from collections.abc import Mapping
from typing import Any

README_FILE = "README.md"

_NEEDED = {
    "savedmodel": ("SavedModel, for TensorFlow", "tensorflow"),
    "litert": ("LiteRT (TensorFlow Lite), float32", "ai-edge-litert"),
    "onnx": ("ONNX", "onnxruntime"),
}


def readme(described: Mapping[str, Any]) -> str:
    """Write the page.

    Args:
        described: ``policy.json``; ``files`` may be missing.

    Returns:
        Markdown.
    """
    rows = [
        f"| `{name}` | {_NEEDED[name][0]} | `{model['path']}` | {_NEEDED[name][1]} |"
        for name, model in described["models"].items()
    ]
    names = [leaf["input"] for leaf in described["observations"]]
    if described["action_mask"]:
        names.append("action_mask")
    columns = ", ".join(f"`{x}`" for x in names)
    first = next(iter(described["models"]))
    return f"""# A policy of DreamerV3

Trained in {described["env"] or described["env_class"] or "an environment without a name"};
exported by rllib-dreamerv3 {described["package_version"]}.

| format | model | path | needs NumPy and |
|---|---|---|---|
{chr(10).join(rows)}

`policy.json` describes observations and actions and their encoding, and has the SHA-256 of every
file, including its own. `policy_io/` encodes and decodes with NumPy alone. `networks.safetensors`
has the networks, for `load_policy()` and `rllib evaluate` of rllib-dreamerv3.

## Acting

With this folder on Python's module path, or `policy_io/` copied beside your program:

```python
from policy_io import load

policy = load(".", format="{first}")  # or another format of the table
policy.reset()  # at the start of an episode
action = policy(observation)  # one observation, as the environment returns it
```

N environments at once: `policy(observations, is_first=begins)` with arrays `[N, ...]`, nested like
the space, and `begins` (`[N]` bool) True where an episode begins. `load(..., mode="mode")` chooses
the most likely actions, `mode="sample"` samples them with the seed `seed=`; the default is
"{described["mode"]}". `policy.state` can be copied and set again.

## Without `policy_io`

The model is one step, a function of named arrays with a leading axis N. Inputs: {columns},
`is_first`, the state `h`, `index` and `action`, and random numbers: `latent_noise` in [0, 1);
`action_noise`, in [0, 1) for each choice and standard normal for each number. Outputs: `next_h`,
`next_index` and two action vectors, `sample` and `mode`: the chosen one is the next `action`.
"""
