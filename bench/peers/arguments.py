"""Arguments of the Python peers. They are parsed before PyTorch is imported, so that --help works without it."""

import argparse
import os
import sys


def arguments(*more):
    """Parses the arguments of every peer, and a peer's own as (name, options)."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--model", required=True, help="a diffusers folder, or a single-file checkpoint")
    parser.add_argument("--config", help="for a single file: a diffusers folder with its configs, or a name on the hub")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    for name, options in more:
        parser.add_argument(name, **options)
    return parser.parse_args()
