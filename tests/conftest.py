"""What holds for all tests and for the processes they start."""

import os

# Ray would connect to a cluster that another test, or somebody else, runs on this machine; and end
# the process of the tests a minute after that cluster is gone.
os.environ["RAY_ADDRESS"] = "local"
