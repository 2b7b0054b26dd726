"""How far two sets of scores agree."""

from calibration.agreement.correlation import Correlation, spearman

__all__ = ["Correlation", "spearman"]
