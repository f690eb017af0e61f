"""Write profile.json: what the models saw in training, from the very rows that `train.py` took."""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fairlead_runtime.tools import profile

HERE = Path(__file__).resolve().parent
HELD_OUT = 200


def main() -> None:
    """Split as `examples/training.py` does, and write a profile for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=HERE, metavar="DIR", help="folder to write to (%(default)s)"
    )
    output: Path = parser.parse_args().output
    data = load_breast_cancer()
    rows, _ = train_test_split(data.data, test_size=HELD_OUT, random_state=0, stratify=data.target)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "training.csv"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(data.feature_names)
            writer.writerows(rows.tolist())
        first = None
        for place in ("", "2"):
            target = output / place / "profile.json"
            target.parent.mkdir(exist_ok=True)
            # The second in the bins of the first: a rollout can then compare their answers.
            made = profile(HERE / place, table, output=target, bins=first, threads=1)
            first = first or target
            print(f"{target}: {made.profile.rows} rows, {made.profile.digest}")


if __name__ == "__main__":
    main()
