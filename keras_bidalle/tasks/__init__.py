"""What models are trained for: images, captions, and how they are judged."""

from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.image_rows import has_captions
from keras_bidalle.tasks.image_task import ImageTask
from keras_bidalle.tasks.task import Task

__all__ = ["CaptionedCodes", "ImageTask", "Task", "has_captions"]
