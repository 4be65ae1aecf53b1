"""Files of a folder by their names, however their letters are stored.

A letter with an accent is one character or two (NFC, NFD): some systems store
names in one form, and lists of them are written in the other. Cameras write
suffixes in capitals.
"""

import functools
import os
import unicodedata

from keras_bidalle.data.image_opening import files_below


class NamedFiles:
    """The files below a folder that have one of some suffixes."""

    def __init__(self, folder, suffixes):
        self.folder = folder
        self.suffixes = suffixes

    def holds(self, name):
        """Whether a name is one of a place in the folder."""
        folder = os.path.abspath(self.folder)
        path = os.path.normpath(os.path.join(folder, name))
        return "\0" not in name and path.startswith(os.path.join(folder, ""))

    def find(self, name):
        """The path of a name, in the form that is there."""
        path = self.folder / name
        # Which is `False` of a name that is too long for any file, too.
        if os.path.exists(path):
            return path
        return self._by_form.get(_form(path), path)

    @functools.cached_property
    def _by_form(self):
        files = files_below(self.folder, self.suffixes)
        return {_form(file): file for file in files}


def _form(path):
    stem, suffix = os.path.splitext(path)
    return unicodedata.normalize("NFC", stem + suffix.lower())
