"""What the pages promise exists: files, programs, options, examples."""

import ast
import importlib.util
import pathlib
import re

import pytest

pytestmark = pytest.mark.any_backend

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
# Where options are.
_OPTIONS = ("recipes", "keras_bidalle/evaluation", "keras_bidalle/programs")

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def test_the_readme_is_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text().split()) <= 1200


@page
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [
        target
        for target in targets
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not missing


@page
def test_the_named_programs_exist(page):
    programs = re.findall(r"recipes/[\w/]+\.(?:py|sh)", page.read_text())
    missing = [name for name in programs if not (ROOT / name).is_file()]
    assert not missing


@page
def test_the_named_options_exist(page):
    command = re.compile(r"python (recipes/[\w/]+\.py)((?:.*\\\n)*.*)")
    for program, arguments in command.findall(page.read_text()):
        arguments = arguments.split("#")[0].split("`")[0]
        source = "".join(
            path.read_text()
            for folder in _OPTIONS
            for path in (ROOT / folder).rglob("*.py")
        )
        for option in re.findall(r"(?<= )--[a-z][\w-]*", arguments):
            name = option.removeprefix("--")
            assert option in source or name.replace("-", "_") in source, (
                f"{program} {option}"
            )


@page
def test_examples_are_python(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
        ast.parse(block)


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"index.md"}
    assert pages == set(re.findall(r"\]\((\w+\.md)\)", index))


def test_the_citation_has_the_version():
    version = (ROOT / "keras_bidalle" / "version.py").read_text()
    (version,) = re.findall(r'__version__ = "(.+)"', version)
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_page_of_public_names_is_of_today():
    path = ROOT / "docs" / "make_api.py"
    spec = importlib.util.spec_from_file_location("make_api", path)
    make_api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_api)
    # If not: python docs/make_api.py
    assert make_api.PAGE.read_text() == make_api.page()
