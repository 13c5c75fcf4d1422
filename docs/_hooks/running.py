"""Running the tutorials: side by side, one to a core, with every failure named.

`mkdocs build` runs every notebook anew; `mkdocs serve` reuses a run while the notebook, the package's sources and the
versions of the frameworks are the same (`key`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import queue
import re
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nbformat
from mkdocs.exceptions import PluginError
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode

log = logging.getLogger("mkdocs.plugins.notebooks")

COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
VERSIONS_IN_KEY = ("torch", "tensorflow-cpu", "tensorflow", "keras", "numpy", "matplotlib")
MOST_AT_ONCE = 4  # each holds two frameworks in memory


class Runner(ExecutePreprocessor):
    """Runs one notebook on cores of its own, and names the cell that fails."""

    cores: frozenset[int]
    running: tuple[int, NotebookNode]  # the cell, and where it stands
    noise: IO[bytes]  # what the kernel's process writes to stderr

    def run(self, nb: NotebookNode, folder: Path, name: str) -> None:
        """Run all cells; a failure is a `PluginError`."""
        with tempfile.TemporaryFile() as self.noise:
            try:
                self.preprocess(nb, {"metadata": {"path": str(folder)}})
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise PluginError(self.explain(name, error)) from error
        for index, cell in enumerate(nb.cells, start=1):
            for output in cell.get("outputs", []):
                if problem := problem_of(output):
                    log.warning("%s, cell %d %s", name, index, problem)

    def create_kernel_manager(self) -> Any:
        """A kernel of the Python that builds the site, whatever else is installed under the kernel's name."""
        manager = super().create_kernel_manager()
        manager.kernel_spec.argv[0] = sys.executable
        return manager

    @contextmanager
    def setup_kernel(self, **options: Any) -> Any:
        """Keep what libraries in C write to stderr: out of sight, but told when the kernel dies."""
        with super().setup_kernel(stderr=self.noise, **options):
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(self.km.provisioner.pid, self.cores)  # before it imports a framework
            yield

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Remember which cell runs, since a dead kernel does not say."""
        self.running = index, cell
        return super().preprocess_cell(cell, resources, index)

    def explain(self, name: str, error: Exception) -> str:
        """What failed, where, and why."""
        index, cell = self.running
        if isinstance(error, CellExecutionError):
            lines = [line for out in cell.outputs if out.output_type == "error" for line in out.traceback]
            reason = COLOUR_CODES.sub("", "\n".join(lines))
        elif isinstance(error, CellTimeoutError):
            reason = f"The cell ran longer than {self.timeout} s (extra.notebook_cell_timeout in mkdocs.yml)."
        else:
            self.noise.seek(0)
            last_words = self.noise.read().decode(errors="replace")[-3000:]
            reason = f"The kernel died: it crashed, ran out of memory or was ended.\n{last_words}"
        return f"{name}: cell {index + 1} of {len(self.nb.cells)} failed.\n\n{cell.source}\n\n{reason}"

    def stop(self) -> None:
        """End the kernel at once: another notebook has failed."""
        provisioner = getattr(self.km, "provisioner", None)
        if provisioner is not None and provisioner.pid:
            os.kill(provisioner.pid, signal.SIGKILL)


def run_all(notebooks: list[Path], cache: Path, docs: Path, timeout: int) -> dict[str, float]:
    """Run every notebook of which no run is kept, several at a time; the first failure ends all.

    Args:
        notebooks: What to run, the longest first.
        cache: Where they are kept with their outputs.
        docs: What their places in the cache are relative to.
        timeout: Seconds that a cell may take.

    Returns:
        Name -> the seconds it took, for those that ran.

    Raises:
        PluginError: If a cell fails; it names notebook, cell and traceback.
    """
    todo = [path for path in notebooks if not is_kept(path, kept_run(path, cache, docs))]
    shares = shares_of_cores(len(todo))
    free: queue.SimpleQueue[frozenset[int]] = queue.SimpleQueue()
    for share in shares:
        free.put(share)
    active: list[Runner] = []
    seconds: dict[str, float] = {}

    def run(path: Path) -> None:
        name, share = path.relative_to(docs.parent).as_posix(), free.get()
        runner = Runner(
            timeout=timeout,
            kernel_name="python3",
            coalesce_streams=True,  # what a cell prints bit by bit is one output
            # Only what Python writes belongs to a cell: what libraries in C write differs from machine to machine.
            extra_arguments=["--IPKernelApp.capture_fd_output=False"],
        )
        runner.cores = share
        active.append(runner)
        log.info("Running %s", name)
        start = time.perf_counter()
        nb = nbformat.read(path, as_version=4)
        nb.metadata["run"] = key(path)
        try:
            runner.run(nb, path.parent, name)
        finally:
            active.remove(runner)
            free.put(share)
        seconds[name] = time.perf_counter() - start
        log.info("Ran %s in %.0f s", name, seconds[name])
        kept = kept_run(path, cache, docs)
        kept.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, kept)

    with ThreadPoolExecutor(max(len(shares), 1)) as pool:
        for future in as_completed([pool.submit(run, path) for path in todo]):
            if error := future.exception():
                pool.shutdown(wait=False, cancel_futures=True)
                for runner in list(active):
                    runner.stop()
                raise error
    return seconds


def shares_of_cores(notebooks: int) -> list[frozenset[int]]:
    """The cores, dealt out to as many notebooks as run at a time.

    One notebook on one core gets more done than one on two, so that two side by side are well ahead.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    hands = min(notebooks, len(cores), MOST_AT_ONCE)
    return [frozenset(cores[i::hands]) for i in range(hands)]


def problem_of(output: NotebookNode) -> str | None:
    """What no page should show: warnings of libraries, and pictures that a blind reader gets nothing from."""
    if output.get("name") == "stderr":
        return f"wrote to stderr: {output.text.strip()[:500]}"
    kinds = output.get("data", {}).keys()
    if "image/png" in kinds or ("image/svg+xml" in kinds and not output.data.get("text/plain")):
        return "shows a picture without a text in its place: use backbones.figures.show(figure, alt=...)"
    return None


def kept_run(notebook: Path, cache: Path, docs: Path) -> Path:
    """Where a notebook is kept with its outputs."""
    return cache / notebook.relative_to(docs)


def is_kept(notebook: Path, kept: Path) -> bool:
    """Whether a run of this very notebook is kept (which it never is when `mkdocs build` begins)."""
    return kept.exists() and nbformat.read(kept, as_version=4).metadata.get("run") == key(notebook)


def key(notebook: Path) -> str:
    """What a run depends on: the notebook, the versions, and the package with its weights, but for other families."""
    digest = hashlib.sha256(notebook.read_bytes())
    spec = importlib.util.find_spec("backbones")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for source in sorted([*package.rglob("*.py"), *package.rglob("*.safetensors")]):
        family = source.relative_to(package).parts[0]
        if family == notebook.parent.name or not (package / family / "spec.py").exists():
            digest.update(source.read_bytes())
    for name in VERSIONS_IN_KEY:
        try:
            digest.update(f"{name} {importlib.metadata.version(name)}".encode())
        except importlib.metadata.PackageNotFoundError:
            continue  # only one of the two TensorFlow packages is there
    return digest.hexdigest()
