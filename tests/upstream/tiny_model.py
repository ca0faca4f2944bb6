"""A language model of half a megabyte with random weights, and llama.cpp's own server around it.

    python -m tests.upstream.tiny_model FOLDER PORT

It says printable nonsense, the same for the same seed, and nothing has to be downloaded.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy
import xllamacpp
from gguf import GGUFWriter
from numpy.typing import NDArray

NAME = "tiny"
WIDTH, HIDDEN, HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 4096
SPECIAL = ("<|begin|>", "<|turn|>", "<|end|>")
_NORMAL, _CONTROL = 1, 3

# One channel of the residual stream is the same for every token and left alone by every layer. The
# last layer reads it as a bias, which rules out all tokens that nobody could print.
_CONSTANT, _RULED_OUT = 4.0, -1000.0
_BREVITY = 1.0  # What the end of a turn has ahead of other tokens, so that replies are short.

_TEMPLATE = (
    "{% for message in messages %}<|turn|>{{ message.role }}\n{{ message.content }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


def byte_tokens() -> list[str]:
    """Name the 256 bytes as byte-level vocabularies do: by themselves where they can be seen."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(256) if byte not in seen]
    return [chr(byte) if byte in seen else chr(256 + hidden.index(byte)) for byte in range(256)]


def write_model(path: Path) -> None:
    """Write the model as a GGUF file."""
    tokens = [*byte_tokens(), *SPECIAL]
    begin, end = len(tokens) - 3, len(tokens) - 1
    random = numpy.random.default_rng(20)
    writer = GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([_NORMAL] * 256 + [_CONTROL] * len(SPECIAL))
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(begin)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(_TEMPLATE)

    def weights(rows: int, columns: int) -> NDArray[numpy.float32]:
        return (random.standard_normal((rows, columns)) * 0.3).astype(numpy.float32)

    embedding, output = weights(len(tokens), WIDTH) * 3, weights(len(tokens), WIDTH)
    embedding[:, 0] = _CONSTANT
    output[:, 0] = _RULED_OUT
    output[[*range(0x20, 0x7F)], 0] = 0.0
    output[end, 0] = _BREVITY
    tensors = {"token_embd": embedding, "output": output, "output_norm": ones()}
    for layer in range(LAYERS):
        mixed, down = weights(WIDTH, WIDTH), weights(WIDTH, HIDDEN)
        mixed[0] = down[0] = 0.0
        tensors |= {
            f"blk.{layer}.attn_norm": ones(),
            f"blk.{layer}.attn_q": weights(WIDTH, WIDTH),
            f"blk.{layer}.attn_k": weights(WIDTH, WIDTH),
            f"blk.{layer}.attn_v": weights(WIDTH, WIDTH),
            f"blk.{layer}.attn_output": mixed,
            f"blk.{layer}.ffn_norm": ones(),
            f"blk.{layer}.ffn_gate": weights(HIDDEN, WIDTH),
            f"blk.{layer}.ffn_up": weights(HIDDEN, WIDTH),
            f"blk.{layer}.ffn_down": down,
        }
    for name, values in tensors.items():
        writer.add_tensor(f"{name}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def ones() -> NDArray[numpy.float32]:
    return numpy.ones(WIDTH, numpy.float32)


def serve(path: Path, port: int) -> None:
    """Serve a model on 127.0.0.1 until SIGTERM."""
    options = xllamacpp.CommonParams()
    options.model.path = str(path)
    options.model_alias = {NAME}
    options.hostnames = ["127.0.0.1"]
    options.port = port
    options.n_ctx = CONTEXT
    options.n_parallel = 4
    options.n_gpu_layers = 0
    options.warmup = False
    server = xllamacpp.Server(options)
    print("listening on", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    os._exit(0)  # The threads of the library do not end by themselves.


if __name__ == "__main__":
    model = Path(sys.argv[1]) / "tiny.gguf"
    write_model(model)
    serve(model, int(sys.argv[2]))
