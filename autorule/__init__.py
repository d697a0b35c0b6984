"""autorule mines rules from preference data and turns them into rewards for reinforcement learning of language models.

Importing the package loads neither torch nor Prefect: a trainer that only needs rewards installs the base.
"""

from autorule.earlier_names import EarlierNames

__version__ = "0.1.0"

EarlierNames.install()
