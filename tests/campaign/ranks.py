"""Let one of two ranks die or hang; all must end, and the training must go on from there."""

import os
import random
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import processes

N = 4
TIMEOUT = 10  # seconds that a rank waits for the other


def run(seed, n):
    """``n`` trainings on two gloo ranks: in turn the first or the second dies, or hangs."""
    rng = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix='campaign_'))
    make = processes.configs(folder)['classifier']
    start = time.monotonic()
    assert [processes.wait(pid, processes.PATIENCE) for pid in _start(make, folder / 'whole', False)] == [
        0,
        0,
    ]
    duration = time.monotonic() - start
    figures = dict(dead=0, hanging=0, all_ended=0, resumed_equal=0, slowest_end_s=0.0)
    for i in range(n):
        if processes.late():
            break
        what, rank = ('dead', 'hanging')[(i + seed) % 2], (i // 2 + seed) % 2
        work_dir = folder / f'{what}_{i}'
        pids = _start(make, work_dir, False)
        time.sleep(rng.uniform(0.3, 0.8) * duration)
        struck = time.monotonic()
        os.kill(pids[rank], signal.SIGKILL if what == 'dead' else signal.SIGSTOP)
        code = processes.wait(pids[1 - rank], 6 * TIMEOUT)
        took = time.monotonic() - struck
        # torchrun kills what is left when one has ended
        processes.kill(pids[rank])
        figures[what] += 1
        figures['all_ended'] += code is not None
        figures['slowest_end_s'] = max(figures['slowest_end_s'], took)
        codes = [processes.wait(pid, processes.PATIENCE) for pid in _start(make, work_dir, True)]
        good = codes == [0, 0] and processes.equal(
            processes.final(work_dir), processes.final(folder / 'whole')
        )
        figures['resumed_equal'] += good
        print(
            f'{i} rank {rank} {what}: the other ended after {took:.1f} s with {code}; {codes} {good}',
            flush=True,
        )
    if figures['resumed_equal'] == figures['dead'] + figures['hanging']:
        shutil.rmtree(folder)
    return figures


def _start(make, work_dir, resume):
    with socket.socket() as free:
        free.bind(('', 0))
        port = free.getsockname()[1]

    def job(rank):
        import torch

        from dpk_mm.utils.runner import launch_on_cpu

        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
        os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
        cfg = make(work_dir)
        cfg.launcher = 'pytorch'
        cfg.env_cfg = dict(dist_cfg=dict(backend='gloo', timeout=TIMEOUT))
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        launch_on_cpu(cfg)
        assert torch.distributed.is_initialized()
        processes.train(cfg, resume)

    return [
        processes.fork(lambda rank=rank: job(rank), work_dir.parent / f'{work_dir.name}.{rank}.log')
        for rank in range(2)
    ]
