"""Config files, of which those in YAML hold plain values only."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mmengine
import yaml
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.fileio.handlers import yaml_handler

from dpk_mm.utils.declared import LARGEST, count_values


class PlainLoader(yaml.SafeLoader):  # libyaml's crashes where nesting is deep
    """Reads plain values; aliases may not stand for more of them than :data:`LARGEST`."""

    def get_single_node(self) -> Any:
        """Count what the file would become."""
        node = super().get_single_node()
        if count_values(node, _parts, {}) > LARGEST:
            raise yaml.YAMLError(f'its aliases stand for over {LARGEST:,} values, which are allowed')
        return node


@contextmanager
def plain_yaml() -> Iterator[None]:
    """Let mmengine read YAML configs as plain values: its own loader runs what a file names.

    Raises:
        ValueError: A YAML file has a mistake, or names code.
    """
    before = yaml_handler.Loader, config_utils.load
    yaml_handler.Loader, config_utils.load = PlainLoader, _read_metafile
    try:
        yield
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(' '.join(str(error).split())) from error
    finally:
        yaml_handler.Loader, config_utils.load = before


def read_config(path: str) -> Config:
    """Read a config file; one in YAML or JSON runs nothing.

    Args:
        path (str): The file.

    Returns:
        Config: The whole config.

    Raises:
        ValueError: It has a mistake, or holds something else than a config, or a base of a package whose
            configs mmengine does not find, such as ours.
    """
    with plain_yaml():
        try:
            return Config.fromfile(path)
        except (AttributeError, TypeError, KeyError) as error:
            if path.endswith('.py'):
                raise  # a mistake of its own
            raise ValueError(f'it holds no config ({error})') from error
        except AssertionError as error:
            if 'does not support to load' not in str(error):
                raise  # of the config's own
            raise ValueError(
                f'_base_: {error} Name the file by a path, relative to yours, such as '
                "'DPK_MM/configs/dpk/retinanet_r101_r50_coco.py' with the place of your checkout."
            ) from error


@functools.cache
def _read_metafile(path: str) -> Any:
    """Read a metafile of an installed package once: mmengine reads all of them for each ``mmdet::...``.

    The package may run code anyway, so libyaml may read them: ten times faster, deep nesting crashes it.
    """
    return mmengine.load(path, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))


def _parts(node: Any) -> Iterator[Any]:
    """What lies within a node of YAML."""
    for part in node.value if isinstance(node, yaml.CollectionNode) else ():
        yield from part if isinstance(part, tuple) else (part,)
