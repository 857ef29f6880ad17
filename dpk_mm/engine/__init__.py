"""What trains: hooks, optimizers and strategies."""

from .hooks import *
from .optim import *
from .strategies import *
