import numpy as np
import synthetic

from rllib_dreamerv3.agent.networks.state import State

NANO = synthetic.NANO


def test_first_states_of_a_stack():
    state = synthetic.states(NANO, 5)
    np.testing.assert_array_equal(state.first(2).h, state.h[:2])
    np.testing.assert_array_equal(state.first(2).index, state.index[:2])
    assert state.first(2).z is None
    assert isinstance(state.first(2), State)
