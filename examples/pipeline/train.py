"""Train a model, and write what the other steps need: weights, rows, and golden examples."""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer

from examples import training
from examples.pipeline import nets

CERTAIN = 0.9
"""Golden examples are rows on which the trained model is this sure: 8 bits may not change those."""


def main() -> None:
    """Be the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--seed", type=int, default=3, help="of the first weights (%(default)s)")
    args = parser.parse_args()
    data = load_breast_cancer()
    rows = training.split(data, 200)
    model = training.train(rows, training.Recipe(hidden=nets.HIDDEN, seed=args.seed)).float()
    torch.save(model.state_dict(), args.folder / "weights.pt")
    names = list(data.feature_names)
    training.write_held_out(args.folder / "held-out.csv", rows, names)
    with (args.folder / "training.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows.features.tolist())
    features = rows.held_out_features.astype(np.float32)
    with torch.no_grad():
        labels, probabilities = (each.numpy() for each in model(torch.from_numpy(features)))
    sure = probabilities.max(axis=1) > CERTAIN
    np.savez(args.folder / "examples.npz", features=features[sure], label=labels[sure])
    accuracy = float((labels == rows.held_out_labels).mean())
    sys.stdout.write(f"accuracy {accuracy:.4f}; {int(sure.sum())} golden examples\n")


if __name__ == "__main__":
    main()
