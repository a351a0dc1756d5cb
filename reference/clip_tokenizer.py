"""CLIP's tokenizer of transformers over the merges that come with this project, for the scripts beside it."""

import json
import pathlib
import tempfile

from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

MERGES = pathlib.Path(__file__).parent.parent / "assets" / "clip" / "merges.txt"


def tokenizer_of(pad, **more):
    """`pad` is "<|endoftext|>" for SDXL's first text encoder and "!" for its second."""
    merges = [line for line in MERGES.read_text().splitlines() if line and not line.startswith("#version")]
    letters = list(bytes_to_unicode().values())
    pieces = letters + [c + "</w>" for c in letters] + [m.replace(" ", "") for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    return CLIPTokenizer(folder / "vocab.json", folder / "merges.txt", pad_token=pad, **more)
