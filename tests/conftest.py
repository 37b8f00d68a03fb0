"""What every test stands on: no network, no screen, the same random numbers, and the real orders."""

from __future__ import annotations

import importlib.util
import os
import random
from pathlib import Path

import matplotlib
import numpy as np
import pytest

OFFLINE = Path(__file__).parent / "offline"


def switch_network_off() -> None:
    """Load the guard here and put it on the path of every process that a test starts."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(OFFLINE) not in paths:  # `make test` and the parent of an xdist worker set it already
        os.environ["PYTHONPATH"] = os.pathsep.join([str(OFFLINE), *filter(None, paths)])
        spec = importlib.util.spec_from_file_location("offline_guard", OFFLINE / "sitecustomize.py")
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


switch_network_off()
matplotlib.use("agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Tests should take their own generator; code that still uses the global ones is repeatable too."""
    random.seed(20240229)
    np.random.seed(20240229)  # noqa: NPY002


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in every test."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def cdnow():
    """The CDNOW master order log (69,659 rows); copy it before changing it."""
    from custkit import tables

    return tables.cdnow()


@pytest.fixture(scope="session")
def cdnow_sample():
    """The 1/10 sample of CDNOW (2,357 customers); copy it before changing it."""
    from custkit import tables

    return tables.cdnow(sample=True)


@pytest.fixture
def file(tmp_path):
    """Write a file of that name with that content; returns its path."""

    def write(content: str | bytes, name: str = "orders.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return path

    return write
