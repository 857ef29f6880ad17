"""Small functions that models and commands are made of."""

from .blank import blank_shape, eval_without_side_effects, is_detector, is_segmentor, predict, run_blank
from .checkpoint import load_weights
from .cka import cka_from_hsics, hsics, linear_cka, positions_as_samples
from .config import is_distiller, load_main_cfg, load_model_cfg, main_field, main_model_cfg
from .probe import probe
from .randomness import preserve_random_state, step_generator
from .ratio_log import read_ratios
from .resize import resize_like
from .taps import TapError, check_tap, find_taps, record
from .teacher_config import teacher_cfg
