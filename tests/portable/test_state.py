"""States that are put back fit the policy, or are refused at once."""

import numpy as np
import pytest
import without_model


@pytest.fixture
def policy():
    return without_model.policy()


def test_a_state_goes_on_as_it_did(policy):
    policy(np.zeros(4))
    state = policy.state
    assert policy(np.zeros(4)) == 2
    policy.state = state
    assert policy(np.zeros(4)) == 2
    # As it comes back from a client.
    policy.state = {name: part.tolist() for name, part in state._asdict().items()}
    assert [part.dtype for part in policy.state] == [np.float32, np.int32, np.float32]
    assert policy(np.zeros(4)) == 2
    policy.state = None
    assert policy(np.zeros(4)) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda _: 5, TypeError, "must be None or an earlier policy.state .* not 5"),
        (lambda _: "abc", TypeError, "not 'abc'"),
        (lambda s: {"h": s.h}, ValueError, "has no 'index'"),
        (
            lambda s: s._replace(h=s.h[:, :2]),
            ValueError,
            r"shapes \(1, 2\), .* instead of \(N, 3\)",
        ),
        (lambda s: s._replace(index=s.index[0]), ValueError, "shapes"),
        (lambda s: s._replace(h=np.float32(1)), ValueError, "shapes"),
        (lambda s: type(s)(*(x[:0] for x in s)), ValueError, "shapes"),
        (lambda s: s._replace(h=s.h * np.nan), ValueError, "'h' of the state contains NaN"),
        (lambda s: s._replace(h=[["a"]]), ValueError, "'h' of the state is not numeric"),
        (lambda s: s._replace(index=[[2**40, 0]]), ValueError, "'index' of the state is not"),
    ],
)
def test_invalid_states_are_rejected(policy, change, error, message):
    policy(np.zeros(4))
    before = policy.state
    with pytest.raises(error, match=message):
        policy.state = change(before)
    assert policy.state is before
