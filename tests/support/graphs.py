"""What compiled functions are made of.

Tests say ``from graphs import ...``; pytest has this folder on its path.
"""


def ancestors(op):
    """The operation itself and all that have to run before it."""
    seen, todo = {op}, [op]
    while todo:
        current = todo.pop()
        for before in (*(x.op for x in current.inputs), *current.control_inputs):
            if before not in seen:
                seen.add(before)
                todo.append(before)
    return seen
