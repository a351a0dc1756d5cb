"""Arguments of the peers in Python. They are read before PyTorch is looked for, so that --help answers without it."""

import argparse
import os
import sys


def arguments(*more):
    """Arguments of every peer, and (name, options) of its own."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--model", required=True, help="a diffusers folder, or a single-file checkpoint")
    parser.add_argument("--config", help="for a single file: a diffusers folder with its configs, or a name on the hub")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    for name, options in more:
        parser.add_argument(name, **options)
    return parser.parse_args()
