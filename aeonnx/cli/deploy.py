"""The group `aeonnx deploy`, with the commands `triton` and `kserve`."""

from __future__ import annotations

from pathlib import Path

import click

from aeonnx.cli.deploy_ray import ray
from aeonnx.cli.groups import Group
from aeonnx.cli.inputs import PATH_NAME
from aeonnx.cli.options import (
    COUNT,
    PATH,
    THREADS,
    bundle_argument,
    force_option,
    json_option,
    refuse_two_documents,
)

__all__ = ["deploy"]


@click.group(cls=Group, epilog="Example: aeonnx deploy triton dist/vae -o repo")
def deploy() -> None:
    """Write what other servers need to serve a bundle.

    Triton reads a model repository. KServe runs Triton in a Kubernetes cluster, on a repository in
    a storage. Ray Serve runs the server of `aeonnx serve` in many processes.
    """


@deploy.command(epilog="Example: aeonnx deploy triton dist/vae -o repo --part decoder --gpu")
@bundle_argument
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    help="Folder of the model repository. It may hold other models, which are left alone.",
)
@click.option(
    "--part",
    "parts",
    multiple=True,
    help="Part to deploy, such as encoder or decoder; may be repeated.  [default: all]",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    help="Variant to deploy, such as fp32, int8 or fp32-uint8; may be repeated.  [default: all]",
)
@click.option(
    "--name", help="Begin the models' names with this.  [default: the name of the bundle's folder]"
)
@click.option("--gpu", is_flag=True, help="Run the models on all GPUs instead of on the CPU.")
@click.option(
    "--instances",
    type=COUNT,
    default=1,
    show_default=True,
    help="Number of instances of each model that run at the same time, on each GPU or on the CPU.",
)
@click.option(
    "--threads",
    type=THREADS,
    help="Number of threads of each instance on the CPU.  [default: the cores of the machine]",
)
@click.option(
    "--max-batch",
    type=COUNT,
    help="Most rows that run together.  [default: the most that the export compared with torch]",
)
@click.option(
    "--max-delay",
    type=float,
    default=0.5,
    show_default=True,
    metavar="MS",
    help="Milliseconds that a request waits at most for others to run with.",
)
@click.option(
    "--max-queue",
    type=COUNT,
    default=1024,
    show_default=True,
    help="Most requests that wait for a model; further ones are refused.",
)
@click.option(
    "--timeout",
    type=float,
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds after which a request that still waits is refused.",
)
@force_option("Replace models of the same names.")
@json_option(
    "an object with `output`, `triton` (the lowest release), `models` (a list of `name`, `part`, "
    "`versions`, `max_batch_size`, `inputs` and `outputs`), `left_out` and `others` (texts)"
)
def triton(
    bundle: Path,
    output: Path,
    parts: tuple[str, ...],
    variants: tuple[str, ...],
    name: str | None,
    gpu: bool,
    instances: int,
    threads: int | None,
    max_batch: int | None,
    max_delay: float,
    max_queue: int,
    timeout: float,
    force: bool,
    as_json: bool,
) -> None:
    """Write a model repository for NVIDIA Triton.

    Each part becomes a model, such as vae.decoder, with a config.pbtxt that names every tensor and
    sets batching, the queue and the warm-up. Precisions are its versions: 32, 16 and 8. Variants
    with uint8 images are models of their own, such as vae.decoder-uint8. An encoder and a decoder
    without a reconstructor also become one model, vae.reconstruct.
    """
    from aeonnx.cli import deployed
    from aeonnx.deploy.options import TritonOptions
    from aeonnx.deploy.triton import write_repository

    options = TritonOptions(
        bundle=bundle,
        output=output,
        parts=parts,
        variants=variants,
        name=name,
        gpu=gpu,
        instances=instances,
        threads=threads,
        max_batch=max_batch,
        max_delay=max_delay,
        max_queue=max_queue,
        timeout=timeout,
        force=force,
    )
    deployed.print_repository(write_repository(options), as_json=as_json)


@deploy.command(
    epilog="Example: aeonnx deploy kserve dist/vae --storage-uri s3://bucket/repo -o vae.yaml"
)
@bundle_argument
@click.option(
    "--storage-uri",
    required=True,
    metavar="URI",
    help="Address of the model repository that `aeonnx deploy triton` wrote, such as "
    "s3://bucket/repo.",
)
@click.option(
    "-o", "--output", type=PATH_NAME, required=True, help="File to write, or - for stdout."
)
@click.option(
    "--name",
    help="Name of the service, of lower-case letters, digits and -.  [default: that of the "
    "bundle's folder]",
)
@click.option(
    "--triton",
    metavar="RELEASE",
    help="Release of Triton to run, such as 26.07.  [default: the newest known]",
)
@click.option(
    "--gpu",
    is_flag=True,
    help="Request a GPU for each replica, for a repository that was written with --gpu.",
)
@click.option(
    "--cpus", type=COUNT, default=2, show_default=True, help="Number of cores of each replica."
)
@click.option(
    "--memory",
    default="4Gi",
    show_default=True,
    help="Memory of each replica, such as 512Mi or 4Gi.",
)
@force_option("Replace an existing file.")
@json_option(
    "an object with `output` (path), `name`, `triton` (the release) and `lowest_triton` (the "
    "lowest that runs the bundle)"
)
def kserve(
    bundle: Path,
    storage_uri: str,
    output: str,
    name: str | None,
    triton: str | None,
    gpu: bool,
    cpus: int,
    memory: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write an InferenceService that runs Triton in KServe.

    The storage has to hold what `aeonnx deploy triton` wrote. Apply the file with kubectl.
    """
    from aeonnx.cli import deployed
    from aeonnx.deploy.kserve import KserveOptions, write_service

    refuse_two_documents(output, as_json=as_json)
    options = KserveOptions(
        bundle=bundle,
        storage_uri=storage_uri,
        output=output,
        name=name,
        triton=triton,
        gpu=gpu,
        cpus=cpus,
        memory=memory,
        force=force,
    )
    deployed.print_service(write_service(options), as_json=as_json)


deploy.add_command(ray)
