"""Training with plain `fit`: what goes on after a kill, and what people see."""

from keras_bidalle.backend.optimizers import synchronized
from keras_bidalle.training.averaged_weights import (
    EvaluateAveraged,
    averaged_weights,
)
from keras_bidalle.training.best_weights import HeldOutFigures, KeepBest
from keras_bidalle.training.callbacks import (
    ImageSummaries,
    ScalarSummaries,
    TextSummaries,
)
from keras_bidalle.training.checkpoint_files import DamagedCheckpoint
from keras_bidalle.training.checkpoints import ResumableCheckpoint
from keras_bidalle.training.distributions import (
    DISTRIBUTIONS,
    Distribution,
    distribute,
    generator_layouts,
)
from keras_bidalle.training.elastic import ElasticCheckpoint, elastic_fit
from keras_bidalle.training.events import SummaryWriter
from keras_bidalle.training.fitting import resumable_fit
from keras_bidalle.training.gumbel_schedules import (
    CosineRamp,
    cooling,
    gumbel_schedules,
)
from keras_bidalle.training.horovod_state import (
    AverageMetrics,
    BroadcastState,
    ScaledLearningRate,
    broadcast_state,
)
from keras_bidalle.training.muon import Muon
from keras_bidalle.training.optimizers import build_optimizer, learning_rate
from keras_bidalle.training.pictures import (
    comparison_grid,
    picture_grid,
    save_captioned,
    save_curves,
    save_png,
    save_read_pictures,
)
from keras_bidalle.training.progress import RunProgress
from keras_bidalle.training.run_folder import RunFolder
from keras_bidalle.training.run_state import NotFinite
from keras_bidalle.training.schedules import VariableSchedule, WarmupCosine
from keras_bidalle.training.steps import StepCallback
from keras_bidalle.training.stop_signals import Preempted

__all__ = [
    "AverageMetrics",
    "BroadcastState",
    "CosineRamp",
    "DamagedCheckpoint",
    "DISTRIBUTIONS",
    "Distribution",
    "ElasticCheckpoint",
    "EvaluateAveraged",
    "HeldOutFigures",
    "ImageSummaries",
    "KeepBest",
    "Muon",
    "NotFinite",
    "Preempted",
    "ResumableCheckpoint",
    "RunFolder",
    "RunProgress",
    "ScalarSummaries",
    "ScaledLearningRate",
    "StepCallback",
    "SummaryWriter",
    "TextSummaries",
    "VariableSchedule",
    "WarmupCosine",
    "averaged_weights",
    "broadcast_state",
    "build_optimizer",
    "comparison_grid",
    "cooling",
    "distribute",
    "elastic_fit",
    "generator_layouts",
    "gumbel_schedules",
    "learning_rate",
    "picture_grid",
    "resumable_fit",
    "save_captioned",
    "save_curves",
    "save_png",
    "save_read_pictures",
    "synchronized",
]
