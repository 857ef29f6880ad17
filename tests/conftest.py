"""Settings of all tests."""

import pytest
import torch

# Tiny models run faster on one thread, and the same on every machine.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fresh_message_hub():
    """No test sees the seed and iteration of another's runner."""
    from mmengine.logging import MessageHub

    MessageHub._instance_dict.clear()
    yield
