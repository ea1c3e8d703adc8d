"""The README quotes what `results` keeps, and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRINT = "from bench import report; print(report.markdown())"


def test_the_table_of_figures_is_that_of_the_results():
    made = subprocess.run(
        (sys.executable, "-c", PRINT), cwd=ROOT, capture_output=True, text=True, check=True
    )
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    shown = text.partition("--readme -->\n")[2].partition("<!-- end of figures -->")[0]
    assert shown == made.stdout, "run python -m bench --readme"
