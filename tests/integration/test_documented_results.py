"""The keys of results that the page about the API lists are there."""

import pickle
import re
from pathlib import Path

from ray.rllib.core import DEFAULT_MODULE_ID
from tiny import tiny_config

from rllib_dreamerv3.agent.kernels.product_speed import faster_dtype
from rllib_dreamerv3.agent.networks.saved import read_saved_networks
from rllib_dreamerv3.reports.history import History, flat
from rllib_dreamerv3.reports.own_metrics import own_metrics

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_results_have_the_keys_of_the_documentation(build, tmp_path):
    config = tiny_config(compute_dtype="auto").evaluation(
        evaluation_interval=1, evaluation_duration=1, evaluation_num_env_runners=0
    )
    algorithm = build(config)
    for _ in range(3):
        result = algorithm.train()
    _, _, section = PAGE.read_text().partition("## Keys of results\n")
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    keys = [key for cell in cells for key in re.findall(r"`([^`]+)`", cell)]
    assert len(keys) > 20
    # Pictures are not asked for here, and there is one machine.
    missing = [key for key in keys if not key.startswith(("reports/", "machines/"))]
    for key, _ in flat(result):
        missing = [name for name in missing if not key.startswith(name.removesuffix("..."))]
    assert not missing
    assert own_metrics(History([result])) == []
    # The dtype that was chosen is the one of all networks, and is saved with them.
    chosen = faster_dtype(result["product_gflop_per_s"])
    assert result["learner_compute_dtype"] == chosen
    for module in (
        algorithm.learner_group._learner.module[DEFAULT_MODULE_ID],
        algorithm.env_runner.module,
        algorithm.eval_env_runner.module,
    ):
        assert module.settings.compute_dtype == chosen
    path = algorithm.save_to_path(tmp_path / "checkpoint")
    assert read_saved_networks(Path(path)).settings.compute_dtype == chosen
    # from_checkpoint() builds the algorithm with this config, and does not choose again.
    saved = pickle.loads((Path(path) / "class_and_ctor_args.pkl").read_bytes())
    (config, *_), _ = saved["ctor_args_and_kwargs"]
    assert config["compute_dtype"] == chosen
