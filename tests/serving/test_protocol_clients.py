"""The clients of others, unchanged: tritonclient, sync and asyncio, KServe's way, and curl."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as aio
from tritonclient.utils import InferenceServerException

import aeonnx
from aeonnx.serving import Server
from tests.serving.conftest import ask

Maker = Callable[..., Path]


@pytest.fixture
def client(server: Server) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(host_of(server))


def host_of(server: Server) -> str:
    return server.address.removeprefix("http://").rstrip("/")


def latents(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 20)).astype(np.float32)


def tensor(value: np.ndarray, name: str = "z", *, binary: bool = True) -> triton.InferInput:
    given = triton.InferInput(name, [*value.shape], "FP32")
    given.set_data_from_numpy(value, binary_data=binary)
    return given


def test_the_server_and_its_models_describe_themselves(
    client: triton.InferenceServerClient, variants: Path
) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == [
        "binary_tensor_data",
        "model_configuration",
        "model_repository",
    ]
    name = f"{variants.name}.decoder"
    assert client.is_model_ready(name)
    assert client.is_model_ready(name, "8")
    found = client.get_model_metadata(name)
    assert found["versions"] == ["32", "8"]
    assert found["inputs"] == [{"name": "z", "datatype": "FP32", "shape": [-1, 20]}]
    assert found["outputs"][0]["shape"] == [-1, 1, 28, 28]
    pixels = client.get_model_metadata(f"{name}-uint8")
    assert pixels["outputs"][0]["datatype"] == "UINT8"
    config = client.get_model_config(name)
    assert config["input"][0]["dims"] == [20]
    assert config["max_batch_size"] == 1024
    index = client.get_model_repository_index()
    assert {"name": name, "version": "8", "state": "READY", "reason": ""} in index


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("version", ["", "32", "8"])
def test_a_model_gives_what_the_library_gives(
    client: triton.InferenceServerClient, variants: Path, binary: bool, answer: bool, version: str
) -> None:
    z, name = latents(3), f"{variants.name}.decoder"
    outputs = [triton.InferRequestedOutput("reconstruction", binary_data=answer)]
    found = client.infer(
        name, [tensor(z, binary=binary)], version, outputs=outputs, request_id="a1"
    )
    precision = "int8" if version == "8" else "fp32"
    wanted = aeonnx.load(variants, ["cpu"], precision=precision).decode(z)
    np.testing.assert_array_equal(found.as_numpy("reconstruction"), wanted)
    head = found.get_response()
    assert (head["model_name"], head["model_version"], head["id"]) == (name, version or "32", "a1")


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_bodies_are_compressed_both_ways(
    client: triton.InferenceServerClient, variants: Path, compression: str
) -> None:
    z, name = np.zeros((20, 20), np.float32), f"{variants.name}.decoder"
    found = client.infer(
        name,
        [tensor(z)],
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    wanted = aeonnx.load(variants, ["cpu"]).decode(z)
    np.testing.assert_array_equal(found.as_numpy("reconstruction"), wanted)


def test_pixels_and_seeds_have_their_own_datatypes(
    client: triton.InferenceServerClient, bundle_of: Maker, variants: Path
) -> None:
    sampler = f"{bundle_of().name}.sampler"
    seed, index = (triton.InferInput(n, [s], "INT64") for n, s in (("seed", 1), ("index", 4)))
    seed.set_data_from_numpy(np.array([7]))
    index.set_data_from_numpy(np.arange(4))
    found = client.infer(sampler, [seed, index])
    opened = aeonnx.load(bundle_of(), ["cpu"])
    wanted = opened.run("sampler", seed=np.array([7]), index=np.arange(4))
    np.testing.assert_array_equal(found.as_numpy("image"), wanted["image"])
    assert client.get_model_config(sampler)["max_batch_size"] == 0
    x = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), np.uint8)
    given = triton.InferInput("x", [*x.shape], "UINT8")
    given.set_data_from_numpy(x)
    mu = client.infer(f"{variants.name}.encoder-uint8", [given]).as_numpy("mu")
    assert mu.shape == (2, 20)


def test_errors_reach_the_client_in_words(
    client: triton.InferenceServerClient, variants: Path
) -> None:
    name = f"{variants.name}.decoder"
    for call, status, text in (
        (lambda: client.infer("nothing", [tensor(latents(1))]), "404", "unknown model 'nothing'"),
        (
            lambda: client.infer(name, [tensor(latents(1))], "16"),
            "404",
            f"unknown model '{name}, version 16'",
        ),
        (lambda: client.infer(name, [tensor(latents(1), "w")]), "400", "inputs[0]: expected a n"),
        (
            lambda: client.infer(name, [tensor(np.full((1, 20), np.nan, np.float32))]),
            "400",
            "decoder: z: expected float32 [batch, 20], got NaN or infinite values",
        ),
        (lambda: client.load_model(name), "404", "Not Found"),
    ):
        with pytest.raises(InferenceServerException) as error:
            call()
        assert error.value.status() == status
        assert error.value.message().startswith(text)


def test_many_clients_get_their_own_rows(server: Server, variants: Path) -> None:
    z, name = latents(400), f"{variants.name}.decoder"
    wanted = aeonnx.load(variants, ["cpu"]).decode(z)

    def some(first: int) -> list[np.ndarray]:
        with triton.InferenceServerClient(host_of(server)) as own:
            return [
                own.infer(name, [tensor(z[place : place + 1 + place % 3])]).as_numpy(
                    "reconstruction"
                )
                for place in range(first, 390, 8)
            ]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(some, range(8)))
    for first, images in enumerate(found):
        for place, image in zip(range(first, 390, 8), images, strict=True):
            # Sums of a batch run in another order than those of a row alone.
            np.testing.assert_allclose(image, wanted[place : place + 1 + place % 3], atol=2e-6)


def test_the_asyncio_client_works(server: Server, variants: Path) -> None:
    z, name = latents(16), f"{variants.name}.decoder"

    async def main() -> list[Any]:
        async with aio.InferenceServerClient(host_of(server)) as own:
            assert await own.is_server_ready()
            calls = []
            for row in z:
                given = aio.InferInput("z", [1, 20], "FP32")
                given.set_data_from_numpy(row[None])
                calls.append(own.infer(name, [given]))
            return [found.as_numpy("reconstruction") for found in await asyncio.gather(*calls)]

    found = np.concatenate(asyncio.run(main()))
    np.testing.assert_allclose(found, aeonnx.load(variants, ["cpu"]).decode(z), atol=2e-6)


def test_requests_as_kserve_writes_them(server: Server, variants: Path) -> None:
    """KServe's client: JSON with nested data, a Content-Type, and binary outputs on request."""
    z = latents(2)
    body = {
        "id": "k1",
        "inputs": [{"name": "z", "shape": [2, 20], "datatype": "FP32", "data": z.tolist()}],
        "parameters": {"binary_data_output": False},
        "outputs": [{"name": "reconstruction"}],
    }
    reply = ask(
        server.address,
        f"/v2/models/{variants.name}.decoder/infer",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    assert reply.headers["content-type"] == "application/json"
    (output,) = reply.json["outputs"]
    found = np.array(output["data"], np.float32).reshape(output["shape"])
    np.testing.assert_array_equal(found, aeonnx.load(variants, ["cpu"]).decode(z))
    assert reply.json["id"] == "k1"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_works(server: Server, variants: Path, tmp_path: Path) -> None:
    z, path = latents(1), tmp_path / "z.bin"
    path.write_bytes(z.tobytes())
    command = ["curl", "-s", "-H", "Inference-Header-Content-Length: 0", "--data-binary"]
    url = f"{server.address}v2/models/{variants.name}.decoder/infer"
    found = subprocess.run([*command, f"@{path}", url], capture_output=True, check=True).stdout
    blob = found[-28 * 28 * 4 :]
    wanted = aeonnx.load(variants, ["cpu"]).decode(z)
    assert blob == wanted.tobytes()
    head = json.loads(found[: -len(blob)])
    assert head["outputs"][0]["parameters"] == {"binary_data_size": len(blob)}
