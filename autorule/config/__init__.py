"""Settings: of models, runs, stages and task runners; their layers; how a form shows them.

What stands here is for users, and has the names by which pickles find it.
"""

from autorule.config.models import EMBEDDED, BudgetConfig, CacheConfig, ModelConfig
from autorule.config.runs import ExtractConfig, RunConfig, ScoreConfig

__all__ = ["EMBEDDED", "BudgetConfig", "CacheConfig", "ExtractConfig", "ModelConfig", "RunConfig", "ScoreConfig"]
