"""What trains: hooks, optimizers and strategies."""

from .hooks import *  # noqa: F403
from .optim import *  # noqa: F403
from .strategies import *  # noqa: F403
