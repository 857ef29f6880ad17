"""Checkpoints that open anywhere, and of which the last whole one is never lost."""

import logging
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from dpk_mm.registry import HOOKS
from dpk_mm.utils import files
from dpk_mm.utils.config import plain_config
from dpk_mm.utils.errors import FieldError
from dpk_mm.utils.locks import is_held, only_one
from dpk_mm.utils.plain import find_problem, histories, plain
from dpk_mm.utils.resume import choose_checkpoint, on_first_rank

from .resumed_run import (
    check_finite_weights,
    check_optimizer,
    count_in_epochs_of_now,
    describe_run,
    keep_order,
    tell_changes,
)
from .safe_saving import Aside, Later, remove_drafts
from .unfinished_step import restore_gradients, unfinished_gradients


@HOOKS.register_module()
class PlainCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, whose files hold tensors and plain values only, and are written safely.

    Since torch 2.6 files open with weights only, and mmengine's hold its log history as objects of its
    own: stock tools then refuse even stock checkpoints. This hook writes the history as plain tensors
    and, on resume, turns it back. Takes the arguments of ``CheckpointHook``; in a config::

        default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))

    A checkpoint is written beside its place, brought to the disk and then renamed; only then are older ones
    removed. Where gradients are accumulated and the step is unfinished, it holds the gradients so far.
    Shards may lie on disks of which each machine sees its own. The config in a checkpoint is the student's
    own, by which upstream's inferencers build the model.
    Resuming by ``resume=True`` passes over files that are damaged. A work dir takes one training at a time.
    ``FlexibleRunner`` resumes before it asks its hooks: with upstream's own ``train.py`` it takes the file
    that ``last_checkpoint`` names, and a damaged one is an error.
    """

    _lock: Optional[ExitStack] = None
    _gradients: Optional[dict] = None
    _resumed: Optional[dict] = None
    _config: Optional[str] = None
    _step: Optional[dict] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told: set[str] = set()  # parts with what is not plain

    def before_run(self, runner: Runner) -> None:
        """Before a training: lock the work dir, and choose what to resume from.

        Raises:
            ValueError: Another training runs in the work dir, or there are checkpoints and none is whole.
        """
        if not isinstance(runner._train_loop, BaseLoop):
            return  # a test
        self._take(Path(runner.work_dir))
        choose_checkpoint(runner)

    def _take(self, folder: Path) -> None:
        def lock() -> None:
            if not is_held(folder):  # by tools/train.py, in the first process alone
                self._lock = ExitStack()
                self._lock.enter_context(only_one(folder))

        on_first_rank(lock)

    def after_run(self, runner: Runner) -> None:
        """Release the work dir."""
        if self._lock is not None:
            self._lock.close()

    def before_train(self, runner: Runner) -> None:
        """Find out whether checkpoints can be written, and go on with an unfinished step.

        Raises:
            ValueError: Nothing can be written where the checkpoints shall be.
        """
        super().before_train(runner)
        self._config = plain_config(runner.cfg)  # once: the files that it names may change
        if self._is_local:
            remove_drafts(Path(self.out_dir))
            try:
                on_first_rank(lambda: files.check_writable(Path(self.out_dir, 'last_checkpoint')))
            except OSError as error:
                raise FieldError('default_hooks.checkpoint', f': nothing can be written: {error}') from error
        self._step = describe_run(runner)
        changed = self._resumed is not None and tell_changes(self._step, self._resumed)
        if self._gradients is not None and not changed:  # else they are of a step that is no more
            restore_gradients(runner, self._gradients)
        self._gradients = self._resumed = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make everything beside the weights plain, and the config the one of the model that is saved."""
        if self._step is not None:
            checkpoint['meta']['step'] = self._step
        if self._config is not None:
            checkpoint['meta'].update(cfg=self._config, plain_cfg=True)
            # inferencers look here first
            checkpoint['message_hub']['runtime_info']['cfg'] = self._config
        if self._gradients is not None:
            checkpoint['gradients'] = self._gradients
        for part in sorted(checkpoint.keys() - {'state_dict', 'ema_state_dict', 'optimizer', 'gradients'}):
            checkpoint[part] = plain(checkpoint[part])
            if part not in self._told and (problem := find_problem(checkpoint[part])):
                self._told.add(part)
                text = (
                    f'Checkpoints of this training open where they are trusted alone: {part!r} has {problem}'
                )
                print_log(text, 'current', logging.WARNING)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn the log history back into mmengine's objects.

        Raises:
            ValueError: The checkpoint holds the state of another optimizer. Or another training runs in the
                work dir: FlexibleRunner resumes before ``before_run``.
        """
        if runner._resume and isinstance(runner._train_loop, BaseLoop):
            self._take(Path(runner.work_dir))
        # mmengine runs what stands there, where it resumes
        meta = checkpoint.get('meta')
        meta = meta if isinstance(meta, dict) else {}
        meta.pop('config', None)
        if runner._resume:
            check_optimizer(runner, checkpoint)
            count_in_epochs_of_now(runner, meta)
            keep_order(runner, meta)
            self._resumed = meta.get('step')
        if 'log_scalars' in (hub := checkpoint.get('message_hub', {})):
            hub['log_scalars'] = histories(hub['log_scalars'])
        self._gradients = checkpoint.get('gradients') if runner._resume else None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """As upstream's, which removes the oldest checkpoint before it writes the newest."""
        runner = runner.runner if isinstance(runner, Aside) else runner
        check_finite_weights(runner, getattr(self, 'last_ckpt', None) or '')
        kept = [one for one in getattr(self, 'keep_ckpt_ids', ()) if one != step] + [step]
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        if self.max_keep_ckpts > 0:
            # with the one that is removed below: whoever resumes after a kill in between removes it
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        self._gradients = unfinished_gradients(runner) if self.save_optimizer else None
        try:
            Aside(runner, self._is_local).save_checkpoint(
                self.out_dir,
                name,
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
        finally:
            self._gradients = None
        if is_main_process():
            files.write_text(Path(runner.work_dir) / 'last_checkpoint', self.last_ckpt)
        barrier()
        if self.max_keep_ckpts > 0:
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :], self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """As upstream's, but the best so far is removed only when the new one is whole."""
        if not self.save_best or not hasattr(self, 'file_backend'):  # as in a test
            return
        check_finite_weights(runner, getattr(self, 'last_ckpt', None) or '')
        backend, later = self.file_backend, Later(self.file_backend)
        self.file_backend = later
        try:
            super()._save_best_checkpoint(Aside(runner, self._is_local), metrics)
        finally:
            self.file_backend = backend
        best = {getattr(self, 'best_ckpt_path', None), *getattr(self, 'best_ckpt_path_dict', {}).values()}
        for path in all_gather_object(later.doomed)[0]:
            if path not in best:
                self._remove(path)

    @property
    def _is_local(self) -> bool:
        """Whether checkpoints go into a folder of this machine."""
        return isinstance(self.file_backend, LocalBackend) and not self.file_client_args

    def _remove(self, path: str) -> None:
        """Remove a checkpoint, which strategies may write as a folder; each process removes what it sees."""
        if self._is_local:
            files.remove(Path(path))
        elif is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif is_main_process() and self.file_backend.isdir(path):
            self.file_backend.rmtree(path)
