"""Show how far a comparison is."""

import time
from collections.abc import Sequence
from typing import Dict, List, Optional, Tuple

from dpk_mm.compare.run import Run

TIMED = 5  # steps of each run that is trained at first, until it is said how long all will take


class Display:
    """Bars on a terminal; elsewhere a line for every run that starts or ends, and one every minute.

    Args:
        runs (Sequence[Run]): What is to be run.
        done (int): How many were finished before.
        jobs (int): How many run at once.
    """

    def __init__(self, runs: Sequence[Run], done: int, jobs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.console = Console(highlight=False, soft_wrap=True)
        self.runs, self.done, self.jobs = list(runs), done, jobs
        self.total = len(self.runs) + done
        # run -> when its first step was seen, that step, the newest step, steps in all
        self.steps: Dict[str, Tuple[float, int, int, int]] = {}
        self.active: Dict[str, Run] = {}
        self.rates: Dict[str, float] = {}  # method -> seconds a step
        self.begun: Dict[str, float] = {}  # run -> when it was started
        self.trained: Dict[str, float] = {}  # run -> when its last step was seen
        self.tests: List[float] = []  # seconds from there to the end of a run
        self.is_timed = False
        self.last = time.monotonic()
        columns = (
            TextColumn('{task.description}'),
            BarColumn(bar_width=20),
            TextColumn('{task.fields[text]}'),
        )
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.bars = {'all': self.progress.add_task('runs', total=self.total, completed=done, text='')}

    def __enter__(self) -> 'Display':
        self.progress.start()
        return self

    def __exit__(self, *args) -> None:
        self.progress.stop()

    def started(self, run: Run) -> None:
        """Show a run that begins."""
        self.active[str(run)] = run
        self.begun[str(run)] = time.monotonic()
        self.bars[str(run)] = self.progress.add_task(str(run), total=None, text='starting')
        if not self.console.is_terminal:
            self.console.print(f'{run}: started, {self._left()}', markup=False)

    def ended(self, run: Run, problem: str) -> None:
        """Show a run that ended, well or not."""
        self.active.pop(str(run))
        self.progress.remove_task(self.bars.pop(str(run)))
        self.runs.remove(run)
        self.done += 1
        if str(run) in self.trained and not problem:
            self.tests.append(time.monotonic() - self.trained[str(run)])
        end = f'FAILED: {problem}' if problem else 'done'
        self.console.print(f'{run}: {end}, {self._left()}', markup=False)

    def show(self) -> None:
        """Bring everything up to date."""
        for name, run in self.active.items():
            path = run.folder / 'progress'
            step, _, total = path.read_text().partition(' ') if path.exists() else ('', '', '')
            if not total:
                continue
            now, step, total = time.monotonic(), int(step), int(total)
            start, first, *_ = self.steps.get(name, (now, step))
            self.steps[name] = start, first, step, total
            if step >= total:
                self.trained.setdefault(name, now)
            text = f'{step}/{total}' if step < total else 'testing'
            self.progress.update(self.bars[name], completed=step, total=total, text=text)
        self.progress.update(self.bars['all'], completed=self.done, text=self._left())
        seen = [self.steps.get(name, (0, 0, 0, 0)) for name in self.active]
        if not self.is_timed and seen and all(step - first >= TIMED for _, first, step, _ in seen):
            self.is_timed = True
            self.console.print(f'after the first steps: {self._left()}', markup=False)
        if not self.console.is_terminal and time.monotonic() - self.last > 60:
            self.last = time.monotonic()
            parts = [
                f'{name} {self.steps[name][2]}/{self.steps[name][3]}'
                for name in self.active
                if name in self.steps
            ]
            self.console.print(' | '.join([*parts, self._left()]), markup=False)

    def _left(self) -> str:
        """How many runs are left, and how long they may take."""
        eta = self._eta()
        text = f'{self.total - self.done} of {self.total} runs left'
        return text if eta is None else f'{text}, about {_clock(eta)}'

    def _eta(self) -> Optional[float]:
        """Seconds until all is done: of a method that has not run yet, the mean of the others is assumed."""
        totals = [total for *_, total in self.steps.values()]
        for name, (start, first, step, _) in self.steps.items():
            if name in self.active and step > first:
                self.rates[self.active[name].method.name] = (time.monotonic() - start) / (step - first)
        if not self.rates:
            return None
        mean = sum(self.rates.values()) / len(self.rates)
        starts = [start - self.begun[name] for name, (start, *_) in self.steps.items()]
        left = sum(starts) / len(starts) * sum(str(run) not in self.steps for run in self.runs)
        if self.tests:
            test, now = sum(self.tests) / len(self.tests), time.monotonic()
            left += sum(max(0, test - now + self.trained.get(str(run), now)) for run in self.runs)
        for run in self.runs:
            _, _, step, total = self.steps.get(str(run), (0, 0, 0, totals[0] if totals else 0))
            left += (total - step) * self.rates.get(run.method.name, mean)
        return left / max(1, min(self.jobs, len(self.runs)))


def _clock(seconds: float) -> str:
    if seconds < 100:
        return f'{max(10, round(seconds, -1)):.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60:02d} min' if minutes >= 60 else f'{minutes} min'
