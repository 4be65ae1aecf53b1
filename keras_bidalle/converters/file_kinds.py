"""What a file is that was taken for a checkpoint: by its first bytes."""

# What other files begin with.
_SIGNATURES = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer: `git lfs pull` fetches it",
    ),
    (b"<!doctype html", "an HTML page: the download went wrong"),
    (b"<html", "an HTML page: the download went wrong"),
    (b"<?xml", "an XML page: the download went wrong"),
    (b"\x1f\x8b", "a gzip archive: unpack it, or give it to `convert`"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"rar!", "a RAR archive: unpack it first"),
    (b"\x89hdf", "an HDF5 file, as Keras writes weights"),
    (b"\x93numpy", "a NumPy array without names"),
    (b"\x89png", "a PNG image"),
    (b"gguf", "a GGUF file"),
    (b"{", "a JSON text"),
)


def other_kind(start: bytes) -> str | None:
    """What a file is, where it is known and no checkpoint; or `None`."""
    if not start:
        return "an empty file"
    if start[257:262] == b"ustar":
        return "a tar archive: unpack it, or give it to `convert`"
    start = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begin, what in _SIGNATURES:
        if start.startswith(begin):
            return what
    return None
