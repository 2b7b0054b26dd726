"""The script for Slurm, with stand-ins for the commands that it calls."""

from __future__ import annotations

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "scripts" / "slurm" / "judge.sbatch"
NODES = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2"}


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run it in a job of two nodes; `srun` shows its words, one a line."""
    for name, line in (("scontrol", "printf 'n1\\nn2\\n'"), ("srun", "printf '%s\\n' \"$@\"")):
        (folder / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["bash", str(SCRIPT), *words],  # noqa: S607 - as Slurm finds it
        env={"PATH": f"{folder}:/usr/bin:/bin", **NODES},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_one_ray_node_each_and_the_command_on_the_first(tmp_path: Path) -> None:
    """The words of the command arrive as they were written, with the address of the first node."""
    done = call(tmp_path, "eval", "--model", "my answers.json")
    assert done.returncode == 0, done.stderr
    words = done.stdout.splitlines()
    assert words[:2] == ["--nodes=2", "--ntasks-per-node=1"]
    at = words.index("--")
    assert words[at + 1 :] == ["judge", "eval", "--model", "my answers.json", *words[-2:]]
    assert words[-2:] == ["--ray-address", "n1:6379"]
    assert words[at - 4 : at] == ["--address", "n1:6379", "--min-nodes", "2"]


def test_without_a_command(tmp_path: Path) -> None:
    """It says how it is used, and starts nothing."""
    done = call(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage" in done.stderr
