"""autorule mines rules from preference data and turns them into rewards for reinforcement learning.

Importing the package loads neither torch nor Prefect: a trainer that only needs rewards installs the base.
"""

__version__ = "0.1.0"
