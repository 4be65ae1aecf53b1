"""The notebooks run from their first cell to their last, at a small size."""

import pathlib

import keras
import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.any_backend
ROOT = pathlib.Path(__file__).parents[1]
SMALL = {
    "draw_and_read": {"SAMPLES": 2},
    "train_on_a_folder": {
        "PICTURES": 40,
        "TOKENIZER_STEPS": 4,
        "STEPS": 4,
        "MORE": [
            *["--unmeasured", "--precision", "float32"],
            *["--set", "generator.width=32", "--set", "generator.depth=1"],
        ],
    },
}


def test_every_notebook_is_known():
    found = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert found == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", keras.backend.backend())
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4)
    (place,) = (
        i
        for i, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", ())
    )
    changes = "\n".join(f"{k} = {v!r}" for k, v in SMALL[name].items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(changes))
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    shown = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", ())
    ]
    assert shown
