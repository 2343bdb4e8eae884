"""The comparison with other engines, importable, and a worker that counts in the place of an engine."""

import sys

import pytest

MODULES = (
    *("cast", "checkpoints", "command", "contest", "environments", "judge", "linear_floor"),
    *("protocol", "report", "throughput", "worker_process", "workload"),
)


@pytest.fixture
def peers(repository, monkeypatch):
    """The modules of the comparison by name, importable for the length of a test."""
    for folder in ("benchmarks/serving", "benchmarks/peers/workers", "benchmarks/peers"):
        monkeypatch.syspath_prepend(str(repository / folder))
    before = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    yield lambda name: __import__(name)
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


@pytest.fixture
def counting(peers, repository):
    """Contestants whose worker counts: `counting("name", way, dtype=…, share=…)`, and how to start them."""
    contest, processes = peers("contest"), peers("worker_process")
    script = repository / "tests" / "support" / "slow_writer.py"

    def contestant(name, way="counting", **how):
        return contest.Contestant(name, None, "slow_writer.py", way, **how)

    def start(one, threads):
        return processes.WorkerProcess(sys.executable, script, threads)

    return contestant, start
