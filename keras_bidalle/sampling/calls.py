"""What calls that draw rows take by name, in signatures and in `help`."""

import inspect
import textwrap
import typing
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

from keras_bidalle.sampling.decoders import Decoder
from keras_bidalle.sampling.settings import HINTS, SETTINGS, SamplingSettings


class _HowToDraw(TypedDict, total=False):
    num_samples: int
    batch_size: int
    progress: Callable[[int], Any] | None
    decoder: str | Decoder


class SamplingOptions(SamplingSettings, _HowToDraw, total=False):
    """The settings, and how rows are drawn, all optional."""


# By name: the default, and what `help` says.
OPTIONS: dict[str, tuple[Any, str]] = {
    "num_samples": (1, "int, samples of each row"),
    "batch_size": (64, "int, how many are drawn at once"),
    "progress": (
        None,
        "function of the number of samples done so far, such as "
        "`keras.utils.Progbar(B * num_samples).update`, or `None`",
    ),
    "decoder": (
        "auto",
        'str or `Decoder`, the way in which rows are filled, "sequential", '
        '"fixed_point" or the faster of them, which changes nothing but the '
        "time it takes",
    ),
}
Function = TypeVar("Function", bound=Callable)


def takes_settings(
    direction: str, options: bool = True
) -> Callable[[Function], Function]:
    """Decorates a function of `**options`, or `**settings` alone.

    `help` and `inspect.signature` then show them one by one, with the
    defaults of the direction. In the docstring they stand in the place of a
    line `{settings}`.
    """
    shown = OPTIONS if options else {}
    hints = typing.get_type_hints(_HowToDraw)
    defaults = {
        name: (default, hints[name]) for name, (default, _) in shown.items()
    }
    for name, setting in SETTINGS.items():
        hint = typing.get_args(HINTS[name])[0]
        defaults[name] = (setting.defaults.get(direction), hint)

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        parameters = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ] + [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=hint,
            )
            for name, (default, hint) in defaults.items()
        ]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        lines = []
        for line in (function.__doc__ or "").splitlines():
            if line.strip() == "{settings}":
                lines += _described(shown, direction, line[: line.index("{")])
            else:
                lines.append(line)
        function.__doc__ = "\n".join(lines)
        return function

    return decorate


def _described(options, direction, indent):
    """Lines of a docstring, one entry for each name."""
    entries = {
        name: f"{text}. Default: {default!r}"
        for name, (default, text) in options.items()
    }
    for name, setting in SETTINGS.items():
        entries[name] = (
            f"{setting.kind.__name__}, {setting.range}; {setting.meaning}. "
            f"Default: {setting.defaults.get(direction)}"
        )
        if setting.sampled is not None and not setting.defaults[direction]:
            entries[name] += f", and {setting.sampled} for several samples"
        if setting.needs:
            entries[name] += (
                f". Needs a generator trained with `{setting.needs}`"
            )
    for name, text in entries.items():
        yield from textwrap.wrap(
            f"{name}: {text}.",
            80,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
        )
