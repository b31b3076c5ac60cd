"""The keys of results that the page about the API lists are there."""

import re
from pathlib import Path

from tiny import tiny_config

from rllib_dreamerv3.reports.history import History, flat
from rllib_dreamerv3.reports.own_metrics import own_metrics

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_results_have_the_keys_of_the_documentation(build):
    config = tiny_config().evaluation(
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
