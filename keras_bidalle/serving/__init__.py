"""Models as SavedModel folders that a stock TensorFlow Serving runs.

Users call `model.export_serving(path)`; `python -m
keras_bidalle.serving.check` verifies what it wrote. Nothing is imported
here, because the check runs where there is no Keras.
"""
