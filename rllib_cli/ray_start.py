"""Where Ray would look for a cluster, and whether there is one."""

import os
import socket

_ANSWER_S = 3.0


def address_of_a_lost_cluster() -> str | None:
    """The address of a cluster that Ray would try to join for minutes, though it has ended.

    Ray writes down the address of the last cluster that was started on a machine. Where that was
    killed, or the machine was switched off, it stays written down.

    Returns:
        The address, if nobody listens there; None if somebody does, if nothing is written down, or
        if the user names the cluster in ``RAY_ADDRESS``.
    """
    from ray._private.services import find_bootstrap_address

    if os.environ.get("RAY_ADDRESS"):
        return None
    address = find_bootstrap_address(None)
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit():
        return None
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except OSError:
        return address
    return None
