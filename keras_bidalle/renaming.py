"""Old names of arguments, so that saved configurations still load."""

from collections.abc import Mapping
from typing import Any


def renamed(
    config: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """A saved configuration with the argument names of today.

    To be called at the beginning of a `from_config`:

    ```python
    @classmethod
    def from_config(cls, config):
        return super().from_config(renamed(config, {"beta": "kl_weight"}))
    ```

    Args:
        config: dict, as `get_config` gave it in some version.
        names: dict from old names to those of today.

    Returns:
        A new dict. Names that are not in `names` are kept.

    Raises:
        ValueError: if `config` has an argument under both names.
    """
    config = dict(config)
    for old, new in names.items():
        if old not in config:
            continue
        if new in config:
            raise ValueError(
                f"`config` must have one of `{old}` (the old name) and "
                f"`{new}`. Received both."
            )
        config[new] = config.pop(old)
    return config
