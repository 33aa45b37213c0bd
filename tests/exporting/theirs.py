"""Models from elsewhere, right and wrong, and what is said of them."""

from __future__ import annotations

THEIRS = """
import dataclasses
import typing

import numpy as np
import torch
from torch import nn

from aeonnx.bundle import TensorSpec
from aeonnx.models import Part, image, latent


class Encoder(nn.Module):
    def __init__(self, form=lambda mu, logvar: (mu, logvar)):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(64, 6)
        self.form = form

    def forward(self, x):
        mu, logvar = self.body(x.flatten(1)).chunk(2, 1)
        return self.form(mu, logvar)


class Decoder(nn.Module):
    def __init__(self, end=lambda y: y):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Linear(3, 64)
        self.end = end

    def forward(self, z):
        return self.end(torch.sigmoid(self.body(z)).reshape(-1, 1, 8, 8))


class Theirs(nn.Module):
    def __init__(self, form=None, end=None):
        super().__init__()
        self.encoder = Encoder(form) if form else Encoder()
        self.decoder = Decoder(end) if end else Decoder()

    def parts(self):
        x, z = image("x", (1, 8, 8), "pictures"), latent("z", 3, "latent")
        y = image("reconstruction", (1, 8, 8), "pictures")
        both = (latent("mu", 3, "means"), latent("logvar", 3, "spread"))
        return {
            "encoder": Part(self.encoder, (x,), both),
            "decoder": Part(self.decoder, (z,), (y,)),
        }


@dataclasses.dataclass
class Latent:
    logvar: torch.Tensor
    mu: torch.Tensor


class Named(typing.NamedTuple):
    logvar: torch.Tensor
    mu: torch.Tensor


def build():
    return Theirs()
"""

TAKEN = {
    "dictionary": "lambda mu, logvar: {'logvar': logvar, 'mu': mu}",
    "a_list": "lambda mu, logvar: [mu, logvar]",
    "a_dataclass": "lambda mu, logvar: Latent(logvar, mu)",
    "a_namedtuple": "lambda mu, logvar: Named(logvar, mu)",
}
"""By name: forms of the two outputs that are put in order."""

WANTED = (
    "encoder: expected its module to return a tuple of 2 tensors (mu float32 [batch, 3], logvar "
    "float32 [batch, 3]), got "
)
WAY = (
    ". Return these, or a dict or dataclass with these names; or declare in parts() what it returns"
)
FORMS = {
    "none": ("None", "None: is there a return at its end?" + WAY, 2),
    "one_tensor": ("mu", "float32 [2, 3]" + WAY, 2),
    "one_too_many": (
        "(mu, logvar, mu + 1)",
        "a tuple of 3 (float32 [2, 3], float32 [2, 3], float32 [2, 3])" + WAY,
        2,
    ),
    "one_too_few": ("(mu,)", "a tuple of 1 (float32 [2, 3])" + WAY, 2),
    "nothing": ("()", "an empty tuple" + WAY, 2),
    "other_names": (
        "{'mean': mu, 'logvar': logvar}",
        "a dict with mean: float32 [2, 3], logvar: float32 [2, 3]" + WAY,
        2,
    ),
    "names_too_many": ("{'mu': mu, 'logvar': logvar, 'z': mu}", "a dict with mu: float32 ", 2),
    "a_scalar": ("1.5", "a float" + WAY, 2),
    "a_text": ("'mu'", "a str" + WAY, 2),
    "an_array": ("np.zeros((2, 3))", "a numpy.ndarray" + WAY, 2),
    "scalars": ("(mu, 0.5)", "a tuple of 2 (float32 [2, 3], float)" + WAY, 2),
    "deeper": ("(mu, [logvar])", "a tuple of 2 (float32 [2, 3], list)" + WAY, 2),
}
"""By name: what an encoder of two outputs returns, what is said that came, and the exit code."""

SHAPES = {
    "bfloat16": (
        "y.bfloat16()",
        "float32 [2, 1, 8, 8] at batch 2, got bfloat16 [2, 1, 8, 8]. Convert it with "
        ".to(torch.float32), or declare its dtype in parts()",
    ),
    "float64": ("y.double()", "at batch 2, got float64 [2, 1, 8, 8]. Convert it with"),
    "integers": ("(y * 255).long()", "at batch 2, got int64 [2, 1, 8, 8]. Convert it with"),
    "baked": (
        "y.reshape(2, 1, 8, -1)",
        "float32 [1, 1, 8, 8] at batch 1, got float32 [2, 1, 8, 4], though batch 2 gave the "
        "declared shape: the batch size is hard-coded, as in .reshape(2, -1). Take it from the "
        "input, as in .reshape(x.shape[0], -1) or .flatten(1)",
    ),
    "first_row": ("y[:1]", "float32 [2, 1, 8, 8] at batch 2, got float32 [1, 1, 8, 8]. Declare in"),
    "two_rows": ("y[:2]", "float32 [3, 1, 8, 8] at batch 3, got float32 [2, 1, 8, 8], though bat"),
    "squeezed": ("y.squeeze()", "float32 [2, 1, 8, 8] at batch 2, got float32 [2, 8, 8]. Declare"),
    "sparse": ("y.to_sparse()", "in the layout torch.sparse_coo. Make it dense with .to_dense()"),
}
"""By name: what a decoder makes of [n, 1, 8, 8], and what is said of it."""

WRITTEN = {
    "raises": (
        "def raises():\n    return Theirs(end=lambda y: y + y.oops)",
        "decoder: its module, called at batch 2, raised AttributeError: 'Tensor' object has no "
        "attribute 'oops'\n  theirs.py:{line}: return Theirs(end=lambda y: y + y.oops)\n",
        1,
    ),
    "wants_two": (
        "def wants_two():\n    def end(y):\n        if len(y) == 1: raise ValueError('two rows')\n"
        "        return y\n    return Theirs(end=end)",
        "decoder: its module, called at batch 1 (at batch 2 it ran), raised ValueError: two rows\n"
        "  theirs.py:{line}: if len(y) == 1: raise ValueError('two rows')\n",
        1,
    ),
    "refuses": (
        "def refuses():\n    raise FileNotFoundError('no weights.pth')",
        "--from module:theirs:refuses: the factory raised FileNotFoundError: no weights.pth\n"
        "  theirs.py:{line}: raise FileNotFoundError('no weights.pth')\n",
        1,
    ),
    "leaves": (
        "def leaves():\n    raise SystemExit(2)",
        "--from module:theirs:leaves: the factory raised SystemExit: 2\n  theirs.py:{line}: ",
        1,
    ),
    "no_parts": (
        "def no_parts():\n    model = Theirs()\n    def parts():\n        return model.nothing\n"
        "    model.parts = parts\n    return model",
        "--from module:theirs:no_parts: parts() raised AttributeError: 'Theirs' object has no "
        "attribute 'nothing'\n  theirs.py:{line}: return model.nothing\n",
        1,
    ),
    "listed": (
        "def listed():\n    model = Theirs()\n    model.parts = lambda: [1]\n    return model",
        "got a Theirs whose parts() returns a list",
        2,
    ),
    "of_modules": (
        "def of_modules():\n    model = Theirs()\n"
        "    model.parts = lambda: {'encoder': model.encoder}\n    return model",
        "got a Theirs whose parts() returns a dict of Encoder",
        2,
    ),
    "needs_a_size": (
        "def needs_a_size(size):\n    return Theirs()",
        "expected a function that needs no arguments, got needs_a_size(size): write one that "
        "calls it",
        2,
    ),
    "number": ("number = 7", "expected a function that returns the module, got a int", 2),
    "extra": (
        "class Odd(Theirs):\n    def state_dict(self, *a, **k):\n        raise OSError('gone')\n"
        "extra = Odd",
        "--from module:theirs:extra: state_dict() raised OSError: gone\n",
        1,
    ),
    "locked": (
        "import threading\ndef locked():\n    model = Theirs()\n"
        "    model.decoder.lock = threading.Lock()\n    return model",
        "decoder: graphs are made from copies of its module, and copy.deepcopy fails at lock, a "
        "lock: cannot pickle '_thread.lock' object. Keep it outside of the module, or give its "
        "class a method __deepcopy__",
        1,
    ),
    "a_prior": (
        "def a_prior():\n    model = Theirs()\n    model.prior = 'normal'\n    return model",
        "prior: expected 'standard-normal', or none, got 'normal'",
        2,
    ),
    "classes": (
        "def classes():\n    model = Theirs()\n    model.classes = 'cat'\n    return model",
        "classes: expected a list of distinct names, got 'cat'",
        2,
    ),
}
"""By name: code with a factory of that name, what is said of it, and the exit code."""

DECLARED = {
    "upper": (
        "TensorSpec('Z', ('batch', 3))",
        "parts(): name: expected lower-case letters, digits and _, beginning with a letter, got "
        "'Z'\n  theirs.py:",
    ),
    "strange": ("TensorSpec('z/0', ('batch', 3))", "beginning with a letter, got 'z/0'"),
    "no_name": ("TensorSpec(None, ('batch', 3))", "beginning with a letter, got None"),
    "dtype": ("TensorSpec('z', ('batch', 3), 'bfloat16')", "dtype: expected one of"),
    "twice": (
        "TensorSpec('x', ('batch', 3))",
        "encoder: 'x' names two tensors: give each a name of its own",
    ),
    "one_row": (
        "TensorSpec('z', (1, 3))",
        'encoder: z: expected "batch" as first size, got [1, 3]. Declare ("batch", 3); to fix '
        "the batch to N rows, export with --static-batch N",
    ),
    "a_list_of_sizes": ("TensorSpec('z', ['batch', 3])", "shape: expected a tuple, got a list"),
    "range": ("TensorSpec('z', ('batch', 3), range=(1.0, 0.0))", "range: expected (lowest, high"),
    "no_spec": ("'z'", "encoder: outputs: expected TensorSpecs, got a str"),
}
"""By name: the declared output of an encoder, and what is said of it."""
