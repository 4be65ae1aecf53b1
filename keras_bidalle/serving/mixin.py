"""`export_serving` for our models, one way for all."""


class ServingMixin:
    """Adds exporting for TensorFlow Serving to a `keras.Model`."""

    def export_serving(self, path, prompt=None, overwrite=False):
        """Writes the model as a folder that a stock TensorFlow Serving runs.

        The folder is a SavedModel that needs no Python and no XLA. Its
        signatures take and give strings and images; its `README.md`
        documents them. Under JAX and PyTorch, a TensorFlow process beside
        this one writes it. The folder appears whole or not at all. Check it
        with `python -m keras_bidalle.serving.check <folder>`.

        Args:
            path: str or `pathlib.Path`: the folder of one version, which is
                called by a number (`serving/bidalle/1`) and replaced if an
                export wrote it, or the folder of all versions, which is
                given a new one.
            prompt: str, a caption for the warm-up requests of a model with
                captions, or `None` for one of the first word that is known.
            overwrite: bool, replaces a folder that holds other files too.

        Returns:
            `pathlib.Path` of the version's folder.

        Raises:
            FileExistsError: if the version's folder is a file, or holds
                other files than those of an export and `overwrite` is not
                set.
            ValueError: if the model cannot be exported: a caption tokenizer
                with other steps than `from_words` and `from_captions` give
                it, or images without three channels.
            RuntimeError: if TensorFlow, run beside another backend, fails.
        """
        from keras_bidalle.serving.export import export_serving

        return export_serving(self, path, prompt, overwrite)
