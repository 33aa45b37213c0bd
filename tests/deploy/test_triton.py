"""`aeonnx deploy triton`: what it writes and says, and what was there before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result
from tritonclient.grpc import model_config_pb2 as proto

from tests.deploy.conftest import names_in
from tests.deploy.served import Repository, config_in

Cli = Callable[..., Result]
Bundles = Callable[[str], Path]


def test_it_says_what_it_wrote_and_which_triton_runs_it(aeonnx: Cli, deployable: Bundles) -> None:
    result = aeonnx("deploy", "triton", deployable("vae"), "-o", "my repo")
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "vae.decoder 32 32 z FP32 [20] reconstruction FP32 [1, 28, 28]" in lines
    assert "vae.sampler 32 0 seed INT64 [1], index INT64 [-1] z FP32 [-1, 20], image UINT8 " in (
        " ".join(lines)
    )
    assert "my repo: needs Triton 25.03 or newer" in lines  # the sampler needs onnxruntime 1.21
    assert "tritonserver --model-repository='my repo' --disable-auto-complete-config" in lines
    parts = ("decoder", "encoder", "reconstructor", "sampler", "scorer")
    assert names_in("my repo") == [f"vae.{part}" for part in parts]


def test_json_has_the_same(aeonnx: Cli, deployable: Bundles) -> None:
    bundle = deployable("variants")
    result = aeonnx("deploy", "triton", bundle, "-o", "repo", "--part", "decoder", "--json")
    document = json.loads(result.stdout)
    assert (document["output"], document["triton"]) == ("repo", "24.04")
    assert (document["left_out"], document["others"]) == ([], [])
    floats, pixels = document["models"]
    assert floats["name"] == "variants.decoder"
    assert floats["part"] == "decoder"
    assert floats["versions"] == [8, 16, 32]
    assert floats["max_batch_size"] == 32
    assert floats["inputs"] == [{"name": "z", "data_type": "TYPE_FP32", "dims": [20]}]
    assert pixels["name"] == "variants.decoder-uint8"
    assert pixels["outputs"] == [
        {"name": "reconstruction", "data_type": "TYPE_UINT8", "dims": [1, 28, 28]}
    ]


def test_parts_and_variants_are_chosen(aeonnx: Cli, deployable: Bundles) -> None:
    words = ("-o", "repo", "--part", "encoder", "--variant", "int8", "--variant", "fp32-uint8")
    assert aeonnx("deploy", "triton", deployable("variants"), *words).exit_code == 0
    assert names_in("repo") == ["variants.encoder", "variants.encoder-uint8"]
    assert names_in("repo/variants.encoder") == ["8", "config.pbtxt"]
    assert names_in("repo/variants.encoder-uint8") == ["32", "config.pbtxt"]


def test_options_are_in_every_configuration(aeonnx: Cli, deployable: Bundles) -> None:
    words = ("--instances", 3, "--threads", 2, "--max-batch", 5, "--max-delay", 2, "--max-queue", 7)
    result = aeonnx(
        "deploy", "triton", deployable("variants"), "-o", "repo", "--timeout", 0.25, *words
    )
    assert result.exit_code == 0, result.stderr
    for name in names_in("repo"):
        config = config_in(Path("repo") / name)
        assert config.max_batch_size == 5
        if config.platform == "ensemble":
            continue
        assert [(g.kind, g.count) for g in config.instance_group] == [
            (proto.ModelInstanceGroup.KIND_CPU, 3)
        ]
        assert config.parameters["intra_op_thread_count"].string_value == "2"
        batching = config.dynamic_batching
        assert batching.max_queue_delay_microseconds == 2000
        assert batching.default_queue_policy.max_queue_size == 7
        assert batching.default_queue_policy.default_timeout_microseconds == 250_000
        assert [sample.batch_size for sample in config.model_warmup] == [5, 1]
    Repository(Path("repo"))


def test_a_short_timeout_is_not_none(aeonnx: Cli, deployable: Bundles) -> None:
    aeonnx("deploy", "triton", deployable("vae"), "-o", "repo", "--timeout", 1e-9)
    queue = config_in(Path("repo/vae.encoder")).dynamic_batching.default_queue_policy
    assert queue.default_timeout_microseconds == 1  # 0 would be no limit


def test_gpus(aeonnx: Cli, deployable: Bundles) -> None:
    assert aeonnx("deploy", "triton", deployable("vae"), "-o", "repo", "--gpu").exit_code == 0
    config = config_in(Path("repo/vae.encoder"))
    (group,) = config.instance_group
    assert (group.kind, group.count, list(group.gpus)) == (proto.ModelInstanceGroup.KIND_GPU, 1, [])
    assert config.parameters["cudnn_conv_algo_search"].string_value == "1"
    result = aeonnx("deploy", "triton", deployable("vae"), "-o", "r2", "--gpu", "--threads", 2)
    assert result.exit_code == 2
    assert "--threads and --gpu do not go together" in result.stderr


def test_models_that_are_there_are_not_replaced_unasked(aeonnx: Cli, deployable: Bundles) -> None:
    bundle = deployable("vae")
    aeonnx("deploy", "triton", bundle, "-o", "repo", "--part", "decoder")
    path = Path("repo/vae.decoder/config.pbtxt")
    before = path.read_bytes()
    result = aeonnx("deploy", "triton", bundle, "-o", "repo", "--max-batch", 3)
    assert result.exit_code == 1
    assert "repo/vae.decoder exists already: pass --force to write into it" in result.stderr
    assert path.read_bytes() == before
    assert names_in("repo") == ["vae.decoder"]
    assert (
        aeonnx("deploy", "triton", bundle, "-o", "repo", "--max-batch", 3, "--force").exit_code == 0
    )
    assert config_in(path.parent).max_batch_size == 3


def test_other_models_are_left_alone_and_those_of_the_bundle_named(
    aeonnx: Cli, deployable: Bundles
) -> None:
    other = Path("repo/theirs/1/model.onnx")
    other.parent.mkdir(parents=True)
    other.write_bytes(b"theirs")
    words = ("deploy", "triton", deployable("vae"), "-o", "repo")
    assert aeonnx(*words, "--part", "decoder", "--part", "encoder").exit_code == 0
    result = aeonnx(*words, "--part", "decoder", "--force")
    assert "vae.encoder: was there before, and is left as it was\n" in result.stdout
    assert "vae.reconstruct: was there before" in result.stdout
    assert "theirs" not in result.stdout
    again = json.loads(aeonnx(*words, "--part", "decoder", "--force", "--json").stdout)
    assert again["others"] == ["vae.encoder", "vae.reconstruct"]
    assert other.read_bytes() == b"theirs"
    more = ("-o", "repo", "--name", "vae.2", "--json")
    assert json.loads(aeonnx("deploy", "triton", deployable("sdae"), *more).stdout)["others"] == []
    again = json.loads(aeonnx(*words, "--part", "decoder", "--force", "--json").stdout)
    assert again["others"] == ["vae.encoder", "vae.reconstruct"]
    assert aeonnx("deploy", "triton", deployable("sdae"), "-o", "repo").exit_code == 0
    assert {"sdae.encoder", "vae.encoder", "theirs"} <= {*names_in("repo")}


def test_versions_of_an_earlier_deployment_are_not_served(aeonnx: Cli, deployable: Bundles) -> None:
    words = ("deploy", "triton", deployable("variants"), "-o", "repo", "--part", "decoder")
    assert aeonnx(*words).exit_code == 0
    assert aeonnx(*words, "--variant", "fp32", "--force").exit_code == 0
    assert Path("repo/variants.decoder/8/model.onnx").exists()
    config = config_in(Path("repo/variants.decoder"))
    assert list(config.version_policy.specific.versions) == [32]


def test_a_typo_and_no_subcommand(aeonnx: Cli) -> None:
    result = aeonnx("deploy", "tritn")
    assert result.exit_code == 2
    assert "no such command 'tritn'. Did you mean 'triton'? Known: triton, kserve" in result.stderr


def test_options_come_from_a_file(aeonnx: Cli, deployable: Bundles) -> None:
    Path("c.toml").write_text(
        '[train]\nepochs = 1\n[deploy.triton]\noutput = "repo"\nmax-batch = 4\n'
        '[deploy.kserve]\nstorage-uri = "s3://b/r"\n'
    )
    assert aeonnx("deploy", "triton", deployable("vae"), "--config", "c.toml").exit_code == 0
    assert config_in(Path("repo/vae.encoder")).max_batch_size == 4
    Path("c.toml").write_text("[deploy.tritn]\nmax-batch = 4\n")
    result = aeonnx("deploy", "triton", "b", "-o", "r", "--config", "c.toml")
    assert "unknown table in c.toml 'tritn'. Did you mean 'triton'?" in result.stderr
    Path("c.toml").write_text("[deploy]\nmax_batch = 4\n[deploy.triton]\n")
    result = aeonnx("deploy", "triton", "b", "-o", "r", "--config", "c.toml")
    assert (
        "c.toml: max_batch is outside of the tables: expected all options in tables such as "
        in (result.stderr)
    )
    assert "[deploy.triton], or no tables" in result.stderr
    Path("c.toml").write_text("[deploy.kserve]\ngpu = true\n")
    result = aeonnx("deploy", "triton", "b", "-o", "r", "--config", "c.toml")
    assert "expected a table [deploy.triton], got [deploy.kserve]" in result.stderr
