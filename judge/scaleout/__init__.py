"""Engines on many GPUs and machines, asked as if they were one."""

from judge.scaleout.cluster import Cluster
from judge.scaleout.ray_team import RayTeam

__all__ = ["Cluster", "RayTeam"]
