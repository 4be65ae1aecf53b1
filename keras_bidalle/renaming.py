"""Old names of arguments, so that saved configurations still load."""

from collections.abc import Mapping
from typing import Any


def renamed(
    config: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """A saved configuration, of which `names` are from old to of today.

    ```python
    @classmethod
    def from_config(cls, config):
        return super().from_config(renamed(config, {"beta": "kl_weight"}))
    ```

    Raises:
        ValueError: if `config` has an argument under both names.
    """
    config = dict(config)
    for old, new in names.items():
        if old not in config:
            continue
        if new in config:
            raise ValueError(
                f"`{new}` and `{old}`, its old name, must not both be given."
            )
        config[new] = config.pop(old)
    return config
