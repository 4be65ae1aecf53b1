"""The examples of CONTRIBUTING run, and hold what they assert."""

import pathlib
import re

import pytest

# Among them is a whole training.
pytestmark = pytest.mark.any_backend

PAGE = pathlib.Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"


def examples():
    """Sections of the page with Python: name to its blocks, as one program."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]
    for section in sections:
        blocks = re.findall(r"```python\n(.*?)```", section, re.S)
        if blocks:
            yield section.splitlines()[0], "\n".join(blocks)


@pytest.fixture(scope="module")
def names():
    # A section may go on with what one before has made.
    return {"__name__": "contributing"}


@pytest.mark.parametrize("title", [title for title, _ in examples()])
def test_the_example_holds(title, names):
    program = dict(examples())[title]
    assert "assert " in program
    exec(compile(program, f"CONTRIBUTING.md, {title}", "exec"), names)
