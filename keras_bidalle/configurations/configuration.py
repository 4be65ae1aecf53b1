"""A model that is to be made and trained, as the training program takes it."""

import copy
import dataclasses
import difflib
import json
from collections.abc import Iterable
from typing import Any

from keras_bidalle.arguments import accepted_arguments, argument_names
from keras_bidalle.configurations import building, named, training_settings
from keras_bidalle.configurations.counting import count_params
from keras_bidalle.files import as_path
from keras_bidalle.generators import Generator
from keras_bidalle.image_tokenizers import ImageTokenizer
from keras_bidalle.messages import one_line, shown
from keras_bidalle.validation import refused

_STAGES: dict[str, Any] = {
    "tokenizer": (
        named.tokenizer,
        training_settings.tokenizer_training,
        ImageTokenizer,
        "an image tokenizer",
    ),
    "generator": (
        named.generator,
        training_settings.generator_training,
        Generator,
        "a generator",
    ),
}


@dataclasses.dataclass
class Configuration:
    """A class, its constructor's arguments, and how the model is trained.

    Attributes:
        cls: class of an image tokenizer or a generator.
        arguments: dict, in which objects are as Keras serializes them.
        training: dict, as `tokenizer_training` or `generator_training` give
            it.

    Example:

    ```python
    configuration = Configuration.find("rq-vae-ffhq", "tokenizer")
    configuration.change("quantizer.num_codes", 512)
    tokenizer = configuration.build()
    ```
    """

    cls: Any
    arguments: dict[str, Any]
    training: dict[str, Any]

    @classmethod
    def find(cls, name: str, stage: str) -> "Configuration":
        """The configuration of a published model, or of a file.

        Args:
            name: str, a published model's, or the path of a JSON file:
                `{"class_name": ..., "config": {...}, "training": {...}}`, of
                which "training" may be left out, or the `config.json` of a
                run or of a preset.
            stage: "tokenizer" or "generator".

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if there is no such name, or the file is damaged or of
                another form.
        """
        named_model, training_of, base, kind = _STAGES[stage]
        if str(name).endswith(".json"):
            found, arguments, given = _read(name, stage)
            training = training_of()
            unknown = sorted(set(given) - set(training))
            if unknown:
                raise ValueError(
                    one_line(
                        f'{name}: "training" has unknown settings '
                        f"{', '.join(map(shown, unknown[:3]))}."
                        f"{_near(unknown[0], training)}"
                    )
                )
            training.update(given)
        else:
            found, arguments = named_model(name)
            training = training_of(name)
        if not issubclass(found, base):
            raise ValueError(
                f"The configuration must be of {kind}. "
                f"Received: {found.__name__}"
            )
        return cls(found, arguments, training)

    def build(self) -> Any:
        """Makes the model, with new weights."""
        return building.build(self.cls, self.arguments)

    def count_params(self) -> int:
        """As the function of that name: the number of weights."""
        return count_params(self.cls, self.arguments)

    def check(self) -> None:
        """Raises a `ValueError` if the training has values it cannot have."""
        training_settings.check_training(self.training)

    def as_json(self) -> dict[str, Any]:
        """What `find` reads."""
        value = building.serialized(self.cls, copy.deepcopy(self.arguments))
        training = {
            name: setting
            for name, setting in copy.deepcopy(self.training).items()
            if setting is not None or name not in training_settings.LATER
        }
        return {**value, "training": training}

    def change(self, name: str, value: Any) -> None:
        """Sets an argument of the model, or a setting of the training.

        Args:
            name: str, such as "steps", "channels" or "quantizer.num_codes".
                An argument of a quantizer is also found in those that it is
                made of.
            value: JSON value or tuple.

        Raises:
            ValueError: if nothing has that name.
        """
        if not isinstance(name, str):
            raise refused("be the name of an argument or setting", name=name)
        value = building.plain(value)
        first, *rest = name.split(".")
        if first in self.training and not rest:
            self.training[first] = value
        elif len(rest) == 1 and isinstance(self.training.get(first), dict):
            self.training[first][rest[0]] = value
        else:
            self._change_argument(name, value)

    def _change_argument(self, name: str, value: Any) -> None:
        *path, last = name.split(".")
        owner, arguments = self.cls, self.arguments
        for part in path:
            if not building.is_serialized(arguments.get(part)):
                raise ValueError(
                    f"{shown(name)}: {owner.__name__} has no {shown(part)} "
                    "with arguments of its own."
                )
            owner = building.class_of(arguments[part])
            arguments = arguments[part]["config"]
        while path and last not in argument_names(owner):
            inner: Any = arguments.get("quantizer")
            if not building.is_serialized(inner):
                break
            owner, arguments = building.class_of(inner), inner["config"]
        known = accepted_arguments(owner)
        if last not in known:
            raise ValueError(
                f"{shown(name)}: {shown(last)} is neither a setting of the "
                f"training nor an argument of {owner.__name__}."
                f"{_near(last, [*self.training, *known])}"
            )
        arguments[last] = value


def _near(name: str, names: Iterable[str]) -> str:
    """Tells those of some names that one is nearly equal to."""
    near = difflib.get_close_matches(str(name)[:100], list(names), 5, 0.5)
    return f" Near to it: {', '.join(near)}." if near else ""


def parse_setting(text: str) -> tuple[str, Any]:
    """Reads NAME=VALUE for `change`.

    Raises:
        ValueError: if the text is of another form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"`--set` takes NAME=VALUE. Received: {shown(text)}")
    return name, parse_value(value)


def parse_value(text: str) -> Any:
    """A value in JSON, or a word, such as a kind of loss."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(path: str, stage: str) -> tuple[type, dict[str, Any], dict[str, Any]]:
    """A class, its arguments and the settings of training in a JSON file."""
    file = as_path("name", path)
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(value, dict) and isinstance(value.get(stage), dict):
            # The `config.json` of a run.
            value = value[stage]
        cls, arguments = building.from_json(value)
        training = value.get("training", {})
        if not isinstance(training, dict):
            raise ValueError(
                f'"training" must be an object. Received: {shown(training)}'
            )
    except (ValueError, RecursionError) as error:
        raise ValueError(
            one_line(f"{path} is not a configuration: {error}")
        ) from error
    return cls, arguments, training
