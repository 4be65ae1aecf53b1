"""Looking a name up in a table of configurations."""


def entry(table, name, kind):
    """The entry of a name.

    Args:
        table: dict.
        name: str.
        kind: str, what the entries are, in the error.

    Raises:
        ValueError: if there is no such name; the message has all of them.
    """
    if name not in table:
        raise ValueError(
            f"Published {kind} are {', '.join(sorted(table))}. "
            f"Received: name={name!r}"
        )
    return table[name]
