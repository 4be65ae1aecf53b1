"""Checks of constructor arguments, with one wording of the errors."""


def check_positive_integer(name, value):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value}"
        )


def check_at_least(name, value, minimum=0.0):
    if not isinstance(value, int | float) or not value >= minimum:
        raise ValueError(
            f"`{name}` must be a number of at least {minimum:g}. "
            f"Received: {name}={value}"
        )
