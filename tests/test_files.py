import pytest

from keras_bidalle.files import atomic_folder

pytestmark = pytest.mark.any_backend


def write(path, **options):
    with atomic_folder(path, ("a.txt", "b"), **options) as temporary:
        (temporary / "a.txt").write_text("new")


def test_a_folder_of_such_a_call_is_replaced(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "own" / "b").mkdir(parents=True)
    for name in ("absent", "empty", "own"):
        write(tmp_path / name)
        assert [p.name for p in (tmp_path / name).iterdir()] == ["a.txt"]


def test_other_folders_and_files_are_replaced_only_when_asked(tmp_path):
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("old")
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="'thesis.txt'.*overwrite=True"):
        write(folder)
    assert (folder / "a.txt").read_text() == "old"
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="is a file"):
            write(tmp_path / "file", overwrite=overwrite)
    assert (tmp_path / "file").read_text() == "mine"
    write(folder, overwrite=True)
    assert [p.name for p in folder.iterdir()] == ["a.txt"]


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "a.txt").read_text() == "new"
