"""What a run or a comparison of runs showed: readers of run folders, figures, and one-file HTML reports."""

from descant.report.html import write_comparison_report, write_run_report
from descant.report.run_folder import RunRecord, read_run

__all__ = ["RunRecord", "read_run", "write_comparison_report", "write_run_report"]
