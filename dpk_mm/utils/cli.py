"""What the commands share: flags, and mistakes in one line."""

import argparse
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, Optional

from mmengine.config import Config, DictAction

from dpk_mm.utils import build, checkpoint, files, resume, runner
from dpk_mm.utils import check_config as config_check
from dpk_mm.utils.errors import DivergedError, FieldError, within
from dpk_mm.utils.load_errors import explain_load_error

# torch's own switch for files that one trusts.
OPT_IN = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
# shows where an error arose that is one line else
TRACEBACK = 'DPK_MM_TRACEBACK'


def die(message: str) -> NoReturn:
    """Exit with one line."""
    raise SystemExit(f'{Path(sys.argv[0]).name}: error: {message}')


def one_line(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of a library one of a command: it exits with one line where the user made a mistake.

    With the environment variable ``DPK_MM_TRACEBACK`` set the error is left as it is.

    Args:
        function (Callable): Raises a ValueError, an OSError or an ImportError for a mistake.

    Returns:
        Callable: The same, with an exit in place of these errors.
    """

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (ValueError, OSError, ImportError) as error:
            if os.environ.get(TRACEBACK):
                raise
            die(' '.join(str(error).split()))

    return command


# of the commands whose other errors are to be seen whole, as those of a training are
load_config = one_line(runner.load_config)
check_checkpoint = one_line(checkpoint.check_checkpoint)
check_start = one_line(runner.check_start)
enable_amp = one_line(runner.enable_amp)
launch_on_cpu = one_line(runner.launch_on_cpu)
build_parts, build_test = one_line(build.build_parts), one_line(build.build_test)
check_config = one_line(config_check.check_config)
build_runner = one_line(build.build_runner)
check_writable = one_line(files.check_writable)
choose_checkpoint = one_line(resume.choose_checkpoint)
fill_dataloaders, save_safely = runner.fill_dataloaders, runner.save_safely
keep_dumped_config = runner.keep_dumped_config


@one_line
def keep_work_dir(stack: ExitStack, cfg: Config) -> None:
    """Keep other trainings out of the work dir until a stack is closed."""
    stack.enter_context(runner.only_training(cfg))


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that upstream's train and test scripts share."""
    add_cfg_options(
        parser, 'override settings of the config: a.b=1 c="[x,y]" d="[(1,2),(3,4)]" (no white space)'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed job were started',
    )
    parser.add_argument('--no-pin-memory', action='store_true', help='dataloaders pin no memory')
    # torchrun's predecessor passes either spelling, depending on torch's version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names a method."""
    parser.add_argument(
        '--method',
        help='how to distil: a name such as dpk (the default), fgd or pkd, or a sum such as kd+fitnet',
    )


class _Options(DictAction):
    """Upstream's, which does not say what is wrong."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        try:
            super().__call__(parser, *args)
        except ValueError as error:
            parser.error(f'--cfg-options takes KEY=VALUE: {error}')


def add_cfg_options(parser: argparse.ArgumentParser, text: str) -> None:
    """Add upstream's flag for changes of a config, with a help text."""
    parser.add_argument('--cfg-options', nargs='+', action=_Options, metavar='KEY=VALUE', help=text)


@one_line
def merge_options(cfg: Config, options: Optional[dict]) -> None:
    """Merge what ``--cfg-options`` says."""
    with within('--cfg-options'):
        cfg.merge_from_dict(options or {})


def add_trust_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag for checkpoints that hold more than weights."""
    parser.add_argument(
        '--trust-checkpoints',
        action='store_true',
        help='also open checkpoints that could run code, if you trust where they come from',
    )


def merge_common(cfg: Config, args: argparse.Namespace, suffix: str = '') -> None:
    """Merge what both scripts take from the command line; the flags win over ``--cfg-options``.

    Args:
        cfg (Config): The config, changed in place.
        args (argparse.Namespace): With the flags of :func:`add_common_flags`.
        suffix (str): What the work dir has behind the config's name, or behind the one that the config
            states. Defaults to ''.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    merge_options(cfg, args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = f'./work_dirs/{Path(args.config.split("::")[-1]).stem}{suffix}'
    elif 'work_dir' not in (args.cfg_options or {}):
        cfg.work_dir = f'{Path(cfg.work_dir)}{suffix}'


def positive(text: str) -> int:
    """Read a number from 1 on, for argparse."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {text}')
    return int(text)


def picture(text: str) -> Path:
    """Read the name of a picture, for argparse: a wrong one is told before anything is measured."""
    if Path(text).suffix not in ('.png', '.pdf', '.svg'):
        raise argparse.ArgumentTypeError(f'must end in .png, .pdf or .svg, got {text}')
    return output(text)


def output(text: str) -> Path:
    """Read the name of a file to write, for argparse: one that cannot be written is told before all else."""
    try:
        files.check_writable(Path(text))
    except OSError as error:
        raise argparse.ArgumentTypeError(f'cannot be written: {error}') from error
    return Path(text)


@contextmanager
def checkpoint_errors(opt_in: Optional[str] = f'set {OPT_IN}=1') -> Iterator[None]:
    """Turn what ends a training by a stated rule, such as a full disk, into one line that says what to do.

    Args:
        opt_in (str, optional): What to do to open a file that is not only weights; None where nothing does.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (DivergedError, FieldError)):
            die(str(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            die(f'{error}. Checkpoints that are whole stay; --resume goes on from the newest.')
        path = _argument(error, 'torch.serialization', 'load', 'f')
        if path is not None:
            die(f'{path} {explain_load_error(error, path, opt_in)}')
        path = _argument(error, 'mmengine.runner', 'resume', 'filename')
        if path is None or os.environ.get(TRACEBACK):
            raise
        said = ' '.join(f'{type(error).__name__}: {error}'.split())
        die(f'{path} is of another training, and this one cannot go on from it ({said[:300]})')


def _argument(error: BaseException, module: str, function: str, name: str) -> Optional[str]:
    """Get the file that a function was called with, where an error was raised in it."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == function and frame.f_globals['__name__'].startswith(module):
            file = frame.f_locals.get(name)
            return str(file if isinstance(file, (str, Path)) else getattr(file, 'name', file))
        trace = trace.tb_next
    return None
