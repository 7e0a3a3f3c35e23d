"""What a run showed: readers of run folders, figures, and the one-file HTML report."""

from descant.report.html import write_run_report
from descant.report.run_folder import RunRecord, read_run

__all__ = ["RunRecord", "read_run", "write_run_report"]
