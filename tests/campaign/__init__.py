"""What is too long for the tests: kills, hostile files, full disks, dead ranks, long runs.

Each module has ``N`` and ``run(seed, n)``, which returns figures. Whole numbers of several runs add up; of
other numbers the largest counts. ``python -m tests.campaign NAME`` runs one.
"""

import sys
from pathlib import Path

# for tiny.py and tiny_cls.py
sys.path.insert(0, str(Path(__file__).parents[1]))
