"""Weighted and long prompts over transformers' CLIP: fixtures/prompts/prompts.{json,safetensors}.

python reference/prompts.py      needs torch 2.8.0, transformers 4.56.2, safetensors

Weights are read as AUTOMATIC1111's web UI reads them (modules/prompt_parser.py parse_prompt_attention), chunks of 75 tokens are cut as in its
modules/sd_hijack_clip.py tokenize_line, but at the end of words where no comma is near, and weights act as in ComfyUI (comfy/sd1_clip.py
ClipTokenWeightEncoder): z' = e + w (z - e), e the encoding of a chunk without words at the same place. Embeddings are vectors in the place of
tokens. The pooled vector is the first chunk's, and has no weights. Both text encoders of fixtures/tiny-sdxl are run, hidden_states[-2].
"""

import json
import pathlib
import re

import torch
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from clip_tokenizer import tokenizer_of

root = pathlib.Path(__file__).parent.parent
model = root / "fixtures" / "tiny-sdxl"
out = root / "fixtures" / "prompts"
out.mkdir(exist_ok=True)
torch.set_num_threads(1)

LENGTH, COMMA_WITHIN = 75, 20
LONG = "a lighthouse on a cliff in a storm, waves, clouds, birds, " * 8
PROMPTS = {
    "weighted": "a (red:1.3) lighthouse, ((storm)), [waves], (two (nested:1.2) words:0.7), \\(brackets\\)",
    "long": "in the very late and quiet evening, " + LONG + "(a small boat:1.4) far away",
    "no-commas": " ".join(f"watercolourist{i}" for i in range(20)),
    "break": "a lighthouse BREAK (a storm:0.6)",
    "embedding": "a lighthouse, (embedding:style:1.2), evening",
    "unclosed": "a ((lighthouse:1.5) in (the storm",
}


ATTENTION = re.compile(r"\\\(|\\\)|\\\[|\\]|\\\\|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|]|[^\\()\[\]:]+|:")


def parse(text):
    """[[text, weight]]; BREAK is ["BREAK", -1]."""
    res, rounds, squares = [], [], []

    def multiply(start, by):
        for p in range(start, len(res)):
            res[p][1] *= by

    for m in ATTENTION.finditer(text):
        t, weight = m.group(0), m.group(1)
        if t.startswith("\\"):
            res.append([t[1:], 1.0])
        elif t == "(":
            rounds.append(len(res))
        elif t == "[":
            squares.append(len(res))
        elif weight is not None and rounds:
            multiply(rounds.pop(), float(weight))
        elif t == ")" and rounds:
            multiply(rounds.pop(), 1.1)
        elif t == "]" and squares:
            multiply(squares.pop(), 1 / 1.1)
        else:
            parts = re.split(r"\s*\bBREAK\b\s*", t)
            for i, part in enumerate(parts):
                if i > 0:
                    res.append(["BREAK", -1])
                res.append([part, 1.0])
    for start in rounds:
        multiply(start, 1.1)
    for start in squares:
        multiply(start, 1 / 1.1)
    merged = []
    for t, w in res:
        if merged and merged[-1][1] == w and w != -1:
            merged[-1][0] += t
        elif t:
            merged.append([t, w])
    return merged


def words_of(tokenizer, text, weight, vectors):
    """Lists of (id, weight, vector) that are not parted."""
    words = []
    for part in re.split(r"(embedding:style)", text):
        if part == "embedding:style":
            words.append([(tokenizer.pad_token_id, weight, v) for v in vectors])
            continue
        word = []
        for token in tokenizer.tokenize(part):
            word.append((tokenizer.convert_tokens_to_ids(token), weight, None))
            if token.endswith("</w>"):
                words.append(word)
                word = []
    return words


def chunks_of(tokenizer, prompt, vectors):
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    chunks, current = [], []
    # an embedding may hold a colon, which the regex would split: its name is put back behind the parsing
    for text, weight in parse(prompt.replace("embedding:style", "embedding\u0001style")):
        if weight == -1:
            chunks.append(current)
            current = []
            continue
        for word in words_of(tokenizer, text.replace("\u0001", ":"), weight, vectors):
            if len(current) + len(word) > LENGTH:
                commas = [i for i, (id, _, v) in enumerate(current) if id == comma and v is None]
                cut = len(current)
                if commas and len(current) - commas[-1] <= COMMA_WITHIN and word[0][0] != comma:
                    cut = commas[-1] + 1
                chunks.append(current[:cut])
                current = current[cut:]
            current += word
    return chunks + [current] if current or not chunks else chunks


def encode(encoder, tokenizer, chunk, end):
    ids = [tokenizer.bos_token_id, *(id for id, _, _ in chunk), tokenizer.eos_token_id]
    ids += [tokenizer.pad_token_id] * (77 - len(ids))
    table = encoder.text_model.embeddings.token_embedding
    hook = None
    if any(v is not None for _, _, v in chunk):

        def place(_module, _inputs, output):
            output = output.clone()
            for i, (_, _, v) in enumerate(chunk):
                if v is not None:
                    output[0, i + 1] = v
            return output

        hook = table.register_forward_hook(place)
    with torch.no_grad():
        result = encoder(torch.tensor([ids]), output_hidden_states=True)
    if hook:
        hook.remove()
    return result.hidden_states[-2][0], result


def run():
    generator = torch.Generator().manual_seed(22)
    vectors = [torch.randn(2, 16, generator=generator), torch.randn(2, 24, generator=generator)]
    tensors = {"clip_l": vectors[0], "clip_g": vectors[1]}
    encoders = [
        (CLIPTextModel.from_pretrained(model / "text_encoder", torch_dtype=torch.float32), tokenizer_of("<|endoftext|>")),
        (CLIPTextModelWithProjection.from_pretrained(model / "text_encoder_2", torch_dtype=torch.float32), tokenizer_of("!")),
    ]
    cases = []
    for name, prompt in PROMPTS.items():
        contexts, lengths, pooled = [], [], None
        for which, (encoder, tokenizer) in enumerate(encoders):
            chunks = chunks_of(tokenizer, prompt, vectors[which])
            lengths = [len(c) for c in chunks]
            empty, _ = encode(encoder, tokenizer, [], None)
            rows = []
            for i, chunk in enumerate(chunks):
                hidden, result = encode(encoder, tokenizer, chunk, None)
                weights = torch.ones(77)
                weights[1 : len(chunk) + 1] = torch.tensor([w for _, w, _ in chunk], dtype=torch.float64).float()
                rows.append(empty + weights[:, None] * (hidden - empty))
                if which == 1 and i == 0:
                    pooled = result.text_embeds[0]
            contexts.append(torch.cat(rows))
        tensors[f"{name}.context"] = torch.cat(contexts, -1).contiguous()
        tensors[f"{name}.pooled"] = pooled.contiguous()
        cases.append({"name": name, "prompt": prompt, "chunks": lengths})
    save_file(tensors, out / "prompts.safetensors")
    (out / "prompts.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")
    print(cases)


run()
