"""Files in the public layouts become safetensors; all others end in one sentence."""

import argparse
import json
import os
import pickle
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.synthetic_checkpoints import (
    PUBLIC,
    SMALL,
    checkpoint,
    network_state,
    synthetic_weights,
    write_checkpoint,
)
from tmsa_core.bundles import load_network
from tmsa_core.cli.main import main
from tmsa_core.errors import BundleError, RequestError
from tmsa_core.weights.convert import LAYOUTS, convert
from tmsa_core.weights.convert_pickles import read_checkpoint
from tmsa_core.weights.download import sha256
from tmsa_core.weights.network_files import read_metadata

FILES = {
    "stylegan2": {"generator": "stylegan2"},
    "e4e": {"generator": "stylegan2", "e4e": "e4e"},
    "hfgi": {"generator": "stylegan2", "e4e": "e4e", "hfgi": "hfgi"},
    "sfe": {"sfe": "sfe"},
    "arcface": {"arcface": "arcface"},
}


def saved(content: object, folder: Path, name: str = "file.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_file_is_converted_to_all_its_networks(kind, tmp_path):
    source = write_checkpoint(kind, tmp_path / "public.pt")
    paths = convert(kind, source, tmp_path / "out")
    assert {path.stem for path in paths} == set(FILES[kind])
    assert sorted(os.listdir(tmp_path / "out")) == sorted(path.name for path in paths)
    for path in paths:
        metadata = read_metadata(path)
        assert metadata["kind"] == FILES[kind][path.stem]
        assert metadata["origin"] == {
            "layout": kind,
            "file": "public.pt",
            "sha256": sha256(source),
        }
        network = load_network(metadata["kind"], path)
        prefix = {"e4e": "encoder.", "stylegan2": "decoder."}.get(metadata["kind"], "")
        if kind == "stylegan2":
            prefix = ""
        sizes = SMALL[metadata["kind"]]
        expected = network_state(metadata["kind"], sizes, "synthetic/", prefix)
        state = network.state_dict()
        assert {prefix + key for key in state} == set(expected)
        assert all(torch.equal(state[key.removeprefix(prefix)], expected[key]) for key in expected)


@torch.no_grad()
def test_converted_networks_compute_together(tmp_path):
    convert("hfgi", write_checkpoint("hfgi", tmp_path / "public.pt"), tmp_path)
    generator, encoder, hfgi = (
        load_network(kind, tmp_path / f"{name}.safetensors") for name, kind in FILES["hfgi"].items()
    )
    w_plus = encoder(torch.zeros(1, 3, 64, 64))
    image = hfgi(generator, torch.zeros(1, 3, 256, 256), w_plus, w_plus + 0.1)
    assert image.shape == (1, 3, 64, 64) and image.isfinite().all()


@torch.no_grad()
def test_the_mean_code_is_added_where_the_options_say_so(tmp_path):
    images = torch.zeros(1, 3, 64, 64)
    codes = {}
    for added in (True, False):
        source = write_checkpoint("e4e", tmp_path / "e4e.pt", start_from_latent_avg=added)
        convert("e4e", source, tmp_path)
        codes[added] = load_network("e4e", tmp_path / "e4e.safetensors")(images)
    average = checkpoint("e4e", SMALL)["latent_avg"]
    assert torch.allclose(codes[True] - codes[False], average[None], atol=1e-5)
    generator = load_network("stylegan2", tmp_path / "generator.safetensors")
    assert torch.allclose(generator.latent_avg, average.mean(dim=0))


def test_one_mean_code_for_all_rows_is_repeated(tmp_path):
    content = checkpoint("e4e", SMALL)
    content["latent_avg"] = content["latent_avg"][0]
    convert("e4e", saved(content, tmp_path), tmp_path)
    encoder = load_network("e4e", tmp_path / "e4e.safetensors")
    assert torch.equal(encoder.latent_avg, content["latent_avg"].expand(10, -1))


def test_the_inverter_of_sfe_alone(tmp_path):
    """Its file calls the inverter by the name that the other file gives to the feature editor."""
    whole = checkpoint("sfe", SMALL)["state_dict"]
    inverter = {k: v for k, v in whole.items() if k.startswith("inverter.")}
    public = {k.replace("inverter.", "encoder.", 1): v for k, v in inverter.items()}
    paths = convert("sfe", saved({"state_dict": public}, tmp_path), tmp_path / "out")
    assert [path.name for path in paths] == ["sfe_inverter.safetensors"]
    network = load_network("sfe", paths[0])
    assert network.encoder is None
    assert all(torch.equal(value, inverter[key]) for key, value in network.state_dict().items())


def test_a_full_checkpoint_of_sfe_gives_the_same_as_the_light_one(tmp_path):
    light = checkpoint("sfe", SMALL)
    expected = bytes_of("sfe", saved(light, tmp_path), tmp_path / "a")
    state = light["state_dict"] | {
        f"{part}.weight": torch.zeros(2, 3) for part in ("e4e_encoder", "decoder", "discriminator")
    }
    full = {"state_dict": state, "encoder_opt": {"state": {}}, "latent_avg": torch.zeros(512)}
    assert_same(bytes_of("sfe", saved(full, tmp_path), tmp_path / "b"), expected)


@pytest.mark.parametrize(("damage", "words"), [
    (lambda state: state.pop("encoder.conv.bias"), "1 missing: encoder.conv.bias"),
    (lambda state: state.pop("inverter.fuser.conv.weight"), "not have the public sfe layout"),
    (lambda state: state.update({"other.weight": torch.zeros(2)}), "belong to none of inverter"),
])  # fmt: skip
def test_another_network_is_not_taken_for_sfe(damage, words, tmp_path):
    content = checkpoint("sfe", SMALL)
    damage(content["state_dict"])
    with pytest.raises(BundleError, match=words):
        convert("sfe", saved(content, tmp_path), tmp_path / "out")


def test_training_state_is_left_out(tmp_path):
    content = checkpoint("stylegan2", SMALL)
    content |= {"g": content["g_ema"], "d": {"x": torch.zeros(3)}, "ada_aug_p": 0.1}
    content |= {"args": argparse.Namespace(size=64), "d_optim": {"state": {}, "param_groups": []}}
    plain = convert("stylegan2", write_checkpoint("stylegan2", tmp_path / "a.pt"), tmp_path / "a")
    trained = convert("stylegan2", saved(content, tmp_path), tmp_path / "b")
    assert plain[0].stat().st_size == pytest.approx(trained[0].stat().st_size, abs=64)
    content = checkpoint("e4e", SMALL) | {
        "global_step": 7,
        "best_val_loss": 0.3,
        "optimizer": {"state": {}},
        "discriminator_state_dict": {"mlp.0.weight": torch.zeros(2, 2)},
    }
    content["opts"] = argparse.Namespace(**content["opts"])
    assert len(convert("e4e", saved(content, tmp_path), tmp_path / "c")) == 2


def test_files_from_before_the_zip_format(tmp_path):
    path = tmp_path / "old.pt"
    torch.save(checkpoint("arcface", SMALL), path, _use_new_zipfile_serialization=False)
    convert("arcface", path, tmp_path)
    network = load_network("arcface", tmp_path / "arcface.safetensors")
    expected = checkpoint("arcface", SMALL)
    assert all(torch.equal(v, expected[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_number_types_and_views_keep_their_values(tmp_path, dtype):
    content = OrderedDict(
        (k, v.to(dtype) if v.is_floating_point() else v)
        for k, v in checkpoint("arcface", SMALL).items()
    )
    key = "output_layer.3.weight"
    content[key] = content[key].T.contiguous().T  # lies in memory the other way round
    convert("arcface", saved(content, tmp_path), tmp_path)
    network = load_network("arcface", tmp_path / "arcface.safetensors")
    assert torch.equal(network.state_dict()[key], content[key].float())


@torch.no_grad()
def test_spare_heads_of_car_encoders_are_left_out(tmp_path):
    sizes = SMALL | {"e4e": SMALL["e4e"] | {"levels": 14}}
    source = write_checkpoint("e4e", tmp_path / "car.pt", sizes, dataset_type="cars_encode")
    convert("e4e", source, tmp_path)
    encoder = load_network("e4e", tmp_path / "e4e.safetensors")
    assert encoder.levels == 10 and encoder.latent_avg.shape == (10, 512)
    assert encoder(torch.zeros(1, 3, 48, 64)).shape == (1, 10, 512)
    source = write_checkpoint("e4e", tmp_path / "face.pt", sizes)
    with pytest.raises(BundleError, match=r"contradicts itself.*14 heads"):
        convert("e4e", source, tmp_path)


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        ({"stylegan_size": 1024}, "contradicts itself.*1024 pixels.*draws 64"),
        ({"encoder_type": "GradualStyleEncoder"}, "GradualStyleEncoder"),
        ({"learn_in_w": True}, "learn_in_w"),
    ],
)
def test_contradicting_options_are_refused(opts, message, tmp_path):
    source = write_checkpoint("e4e", tmp_path / "e4e.pt", **opts)
    with pytest.raises(BundleError, match=message):
        convert("e4e", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"opts": "none"},
        {"latent_avg": torch.zeros(())},
        {"latent_avg": torch.zeros(10, 7)},
        {"latent_avg": "zero"},
    ],
)
def test_fields_of_another_kind(fields, tmp_path):
    with pytest.raises(BundleError, match="layout"):
        convert("e4e", saved(checkpoint("e4e", SMALL) | fields, tmp_path), tmp_path)


def test_a_missing_mean_code_is_refused(tmp_path):
    content = checkpoint("e4e", SMALL)
    del content["latent_avg"]
    with pytest.raises(BundleError, match="lacks latent_avg"):
        convert("e4e", saved(content, tmp_path), tmp_path)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("other", LAYOUTS)
def test_a_file_of_another_layout_is_refused(kind, other, tmp_path):
    if kind == other:
        pytest.skip("that one fits")
    source = write_checkpoint(other, tmp_path / "other.pt")
    with pytest.raises(BundleError, match="layout"):
        convert(kind, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_keys_and_shapes_that_differ_are_named(tmp_path):
    content = checkpoint("e4e", SMALL)
    state = content["state_dict"]
    del state["encoder.latlayer1.bias"]
    state["encoder.surprise"] = torch.zeros(2)
    state["encoder.latlayer2.weight"] = torch.zeros(5, 5, 1, 1)
    with pytest.raises(BundleError) as caught:
        convert("e4e", saved(content, tmp_path), tmp_path)
    message = str(caught.value)
    assert "1 missing: latlayer1.bias" in message and "1 unexpected: surprise" in message
    assert "1 of another shape: latlayer2.weight (5, 5, 1, 1) instead of (16, 8, 1, 1)" in message
    del state["encoder.surprise"]
    state["encoder.line\nbreak" + 1000 * "!"] = torch.zeros(2)
    with pytest.raises(BundleError, match=r"1 unexpected: line break!+\.\.\.!+; "):
        convert("e4e", saved(content, tmp_path), tmp_path)
    state["encoderx.y"] = torch.zeros(2)
    with pytest.raises(BundleError, match=r"belong to none of encoder, decoder: encoderx\.y"):
        convert("e4e", saved(content, tmp_path), tmp_path)


@pytest.mark.parametrize(
    "content", [torch.zeros(3), [], {}, {"g_ema": {}}, {"g_ema": {"a": "text"}}, {"g_ema": 3}, "no"]
)
def test_content_of_another_kind_is_refused(content, tmp_path):
    with pytest.raises(BundleError, match="layout"):
        convert("stylegan2", saved(content, tmp_path), tmp_path)


class Exploit:
    """An object whose unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("wrapping", ["zip", "legacy", "bare"])
def test_a_malicious_pickle_is_refused_without_running(wrapping, tmp_path):
    touched, path = tmp_path / "touched", tmp_path / "evil.pt"
    content = checkpoint("arcface", SMALL) | {"extra": Exploit(touched)}
    if wrapping == "bare":
        path.write_bytes(pickle.dumps(Exploit(touched)))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=wrapping == "zip")
    with pytest.raises(BundleError, match=r"evil\.pt"):
        convert("arcface", path, tmp_path / "out")
    assert not touched.exists() and not (tmp_path / "out").exists()
    if wrapping == "zip":
        with pytest.raises(BundleError, match=r"nothing in it was run.*system"):
            convert("arcface", path, tmp_path / "out")
        torch.load(path, weights_only=False)  # the attack works on an unrestricted reader
        assert touched.exists()


@pytest.mark.parametrize("call", [(eval, "1"), (getattr, "x", "upper"), (torch.load, "x")])
def test_other_calls_are_refused_wherever_they_hide(call, tmp_path):
    class Call:
        def __reduce__(self) -> tuple[object, ...]:
            return call[0], call[1:]

    content = checkpoint("e4e", SMALL)
    content["opts"] = argparse.Namespace(**content["opts"], safe_name=Call())
    with pytest.raises(BundleError, match=f"nothing in it was run.*{call[0].__name__}"):
        convert("e4e", saved(content, tmp_path), tmp_path / "out")


WEIGHT = "output_layer.3.weight"  # of the small ArcFace: (512, 64)


@pytest.mark.parametrize(
    "trick",
    [
        torch.empty(512, 64, device="meta"),
        torch.zeros(512, 64).to_sparse(),
        torch._neg_view(torch.ones(512, 64)),
        torch.zeros(1).expand(512, 10**12),
        torch.zeros(512, 0),
        torch.zeros(512, 64, dtype=torch.complex64),
    ],
    ids=["without numbers", "sparse", "negated", "one number many times", "empty", "complex"],
)
def test_tensors_without_their_numbers_are_refused(trick, tmp_path):
    content = checkpoint("arcface", SMALL) | {WEIGHT: trick}
    with pytest.raises(BundleError, match=f"{WEIGHT} should be tensors of numbers"):
        convert("arcface", saved(content, tmp_path), tmp_path / "out")
    average = checkpoint("stylegan2", SMALL) | {"latent_avg": trick}
    with pytest.raises(BundleError, match="latent_avg should be tensors of numbers"):
        convert("stylegan2", saved(average, tmp_path), tmp_path / "out")


@pytest.mark.parametrize(
    "option", ["encoder_type", "learn_in_w", "start_from_latent_avg", "stylegan_size"]
)
def test_options_that_are_not_plain_values_are_refused(option, tmp_path):
    source = write_checkpoint("e4e", tmp_path / "e4e.pt", **{option: torch.ones(2)})
    with pytest.raises(BundleError, match=f"layout: its option {option}"):
        convert("e4e", source, tmp_path / "out")


def test_a_generator_of_absurd_depth_is_refused(tmp_path):
    content = checkpoint("stylegan2", SMALL)
    content["g_ema"] |= {f"to_rgbs.{i}.bias": torch.zeros(1, 3, 1, 1) for i in range(4, 70)}
    with pytest.raises(BundleError, match="does not have the public stylegan2 layout"):
        convert("stylegan2", saved(content, tmp_path), tmp_path / "out")


def test_an_archive_that_was_packed_again_keeps_its_numbers(tmp_path):
    whole, packed = write_checkpoint("arcface", tmp_path / "whole.pt"), tmp_path / "packed.pt"
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    convert("arcface", packed, tmp_path)
    state = load_network("arcface", tmp_path / "arcface.safetensors").state_dict()
    expected = checkpoint("arcface", SMALL)
    assert all(torch.equal(state[key], value) for key, value in expected.items())


def test_integer_weights_are_refused(tmp_path):
    content = checkpoint("arcface", SMALL)
    content[WEIGHT] = content[WEIGHT].long()
    with pytest.raises(
        BundleError, match=f"1 with integers instead of floating-point numbers: {WEIGHT}"
    ):
        convert("arcface", saved(content, tmp_path), tmp_path / "out")


def test_single_numbers_out_of_larger_tensors(tmp_path):
    content = checkpoint("stylegan2", SMALL)
    content["g_ema"]["conv1.noise.weight"] = torch.arange(10.0).reshape(5, 2)[3:4, 1]
    convert("stylegan2", saved(content, tmp_path), tmp_path)
    generator = load_network("stylegan2", tmp_path / "generator.safetensors")
    assert generator.conv1.noise.weight.item() == 7


WAYS_OF_SAVING = ("module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "no counters")


@pytest.mark.parametrize("change", WAYS_OF_SAVING)
def test_prefixes_of_wrappers_and_missing_counters_change_nothing(change, tmp_path):
    content = checkpoint("arcface", SMALL)
    plain = content.items()
    if change == "no counters":  # PyTorch began to count batches in 0.4.1
        content = {key: value for key, value in plain if not key.endswith("batches_tracked")}
    else:
        content = {f"{change}{key}": value for key, value in plain}
    convert("arcface", saved(content, tmp_path), tmp_path)
    state = load_network("arcface", tmp_path / "arcface.safetensors").state_dict()
    assert all(torch.equal(state[key], value) for key, value in plain)


def bytes_of(kind: str, source: Path, folder: Path) -> dict[str, dict[str, object]]:
    """The tensors of all files that a conversion writes."""
    return {path.name: load_file(path) for path in convert(kind, source, folder)}


def assert_same(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for name, tensors in expected.items():
        assert found[name].keys() == tensors.keys()
        assert all(torch.equal(found[name][key], value) for key, value in tensors.items())


@pytest.mark.parametrize("key", ["g_ema", "params_ema", "generator", "g", "bare", "bare, average"])
def test_a_generator_is_found_under_its_usual_names(key, tmp_path):
    content = checkpoint("stylegan2", SMALL)
    average = content.pop("latent_avg") if key == "bare" else content["latent_avg"]
    expected = bytes_of("stylegan2", saved(content, tmp_path), tmp_path / "a")
    state = content["g_ema"]
    if key == "bare":
        content = state
    elif key == "bare, average":
        content = state | {"latent_avg": average}
    else:
        content = {key: state, "latent_avg": average}
    assert_same(bytes_of("stylegan2", saved(content, tmp_path), tmp_path / "b"), expected)


def test_of_several_generators_the_averaged_one_is_taken(tmp_path):
    content = checkpoint("stylegan2", SMALL)
    expected = bytes_of("stylegan2", saved(content, tmp_path), tmp_path / "a")
    other = {key: torch.zeros_like(value) for key, value in content["g_ema"].items()}
    content = {"g": other, "generator": other} | content
    assert_same(bytes_of("stylegan2", saved(content, tmp_path), tmp_path / "b"), expected)


@pytest.mark.parametrize("kind", ["e4e", "hfgi"])
@pytest.mark.parametrize("form", ["bare", "wrapped", "wrapped inside"])
def test_encoders_in_other_forms(kind, form, tmp_path):
    content = checkpoint(kind, SMALL)
    expected = bytes_of(kind, saved(content, tmp_path), tmp_path / "a")
    state = content["state_dict"]
    if form == "bare":
        content = state | {"latent_avg": content["latent_avg"]}
    elif form == "wrapped":
        content["state_dict"] = {f"_orig_mod.{key}": value for key, value in state.items()}
    else:
        names = ((key.partition("."), value) for key, value in state.items())
        content["state_dict"] = {f"{a}._orig_mod.{b}": value for (a, _, b), value in names}
    assert_same(bytes_of(kind, saved(content, tmp_path), tmp_path / "b"), expected)


@pytest.mark.parametrize("kind", ["stylegan2", "arcface", "e4e"])
def test_a_safetensors_file_is_read(kind, tmp_path):
    content = checkpoint(kind, SMALL)
    expected = bytes_of(kind, saved(content, tmp_path), tmp_path / "a")
    state = content.get("g_ema") or content.get("state_dict") or content
    average = {"latent_avg": content["latent_avg"]} if kind != "arcface" else {}
    flat = {key: value.clone() for key, value in {**state, **average}.items()}
    save_file(flat, tmp_path / "public.safetensors")
    assert_same(bytes_of(kind, tmp_path / "public.safetensors", tmp_path / "b"), expected)
    data = (tmp_path / "public.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match="incomplete safetensors file"):
        convert(kind, tmp_path / "half.safetensors", tmp_path / "c")


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_plain_values_beside_the_weights_are_read(new, tmp_path):
    content = checkpoint("e4e", SMALL)
    expected = bytes_of("e4e", saved(content, tmp_path), tmp_path / "a")
    content["latent_avg"] = content["latent_avg"].numpy()
    content |= {
        "loss": np.float32(0.3),
        "step": np.int64(7),
        "found": np.bool_(True),
        "names": np.array(["a", "b"]),
        "history": defaultdict(list, {"loss": [np.float64(0.1)]}),
        "order": OrderedDict(a=1),
        "dtype": np.dtype("float32"),
    }
    paths = {"data": Path("/data"), "other": PureWindowsPath("C:/x"), "size": np.int32(3)}
    content["opts"] = argparse.Namespace(**content["opts"], **paths)
    path = tmp_path / "other.pt"
    torch.save(content, path, _use_new_zipfile_serialization=new)
    assert_same(bytes_of("e4e", path, tmp_path / "b"), expected)


def test_numpy_arrays_keep_shape_order_and_values(tmp_path):
    arrays = {
        "rows": np.arange(6, dtype=">f4").reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "single": np.array(3, dtype=np.int16),
        "turned": np.arange(6, dtype=np.uint8).reshape(2, 3).T,
        "none": np.zeros((0, 4), np.float16),
    }
    read = read_checkpoint(saved(arrays, tmp_path))
    for name, array in arrays.items():
        expected = torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
        assert torch.equal(read[name], expected) and read[name].dtype == expected.dtype


@pytest.mark.parametrize(
    "state",
    [
        (1, (10**12,), np.dtype("f4"), False, b"0000"),
        (1, (2, -1), np.dtype("f4"), False, b""),
        (1, "shape", np.dtype("f4"), False, b""),
        (1, (1,), np.dtype("O"), False, [1]),
        (1, (1,), "f4", False, b"0000"),
        "state",
    ],
)
def test_arrays_with_false_shapes_are_refused(state, tmp_path):
    class Liar:
        def __reduce__(self) -> tuple[object, ...]:
            rebuild = np.zeros(1).__reduce__()[0]
            return rebuild, (np.ndarray, (0,), b"b"), state

    content = checkpoint("stylegan2", SMALL) | {"latent_avg": Liar()}
    with pytest.raises(BundleError, match="latent_avg should be tensors of numbers"):
        convert("stylegan2", saved(content, tmp_path), tmp_path / "out")


def test_shared_lists_are_visited_once(tmp_path):
    nested: list = []
    for _ in range(200):
        nested = [nested, nested]  # 2^200 lists, if each were looked at
    content = checkpoint("arcface", SMALL)
    convert("arcface", saved({"state_dict": content, "history": nested}, tmp_path), tmp_path)
    assert (tmp_path / "arcface.safetensors").is_file()


class Small(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def other_kinds(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are not checkpoints, and the message about each."""
    script, plain, nested = (folder / name for name in ("script.pt", "plain.zip", "nested.zip"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's age
        torch.jit.save(torch.jit.trace(Small(), torch.zeros(1)), script)
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("weights/model.pt", b"x")
    nvidia = folder / "ffhq.pkl"
    nvidia.write_bytes(
        b"\x80\x03}q\x00X\x01\x00\x00\x00Gq\x01ctorch_utils.persistence\n"
        b"_reconstruct_persistent_obj\nq\x02}q\x03\x85q\x04Rq\x05s."
    )
    return {
        "script": (script, "TorchScript archive.*state_dict"),
        "plain": (plain, "ordinary ZIP archive, not a checkpoint: unpack it"),
        "nested": (nested, r"ordinary ZIP archive \(it holds 'weights/model.pt'\)"),
        "nvidia": (nvidia, "pickle of NVIDIA's StyleGAN code"),
    }


@pytest.mark.parametrize("kind", ["script", "plain", "nested", "nvidia"])
def test_other_kinds_of_files_are_named_with_what_to_do(kind, tmp_path):
    path, words = other_kinds(tmp_path)[kind]
    with pytest.raises(BundleError, match=words) as caught:
        convert("stylegan2", path, tmp_path / "out")
    assert path.name in str(caught.value) and str(caught.value).endswith(".")


def test_missing_and_unexpected_keys_are_named(tmp_path):
    content = checkpoint("arcface", SMALL)
    content["head.bias"] = content.pop("output_layer.3.bias")
    words = r"1 missing: output_layer\.3\.bias; 1 unexpected: head\.bias"
    with pytest.raises(BundleError, match=words):
        convert("arcface", saved(content, tmp_path), tmp_path / "out")
    with pytest.raises(BundleError, match=r"nothing under decoder.*its keys are encoder"):
        state = network_state("e4e", SMALL["e4e"], "synthetic/", "encoder.")
        convert("e4e", saved(state, tmp_path), tmp_path / "out")


def test_a_link_named_as_a_half_file_is_not_followed(tmp_path):
    source, victim = write_checkpoint("arcface", tmp_path / "public.pt"), tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    for name in ("arcface.half", "arcface.safetensors.half"):
        (tmp_path / "out" / name).symlink_to(victim)
    convert("arcface", source, tmp_path / "out")
    assert victim.read_bytes() == b"precious"
    load_network("arcface", tmp_path / "out" / "arcface.safetensors")


def damaged_files(folder: Path) -> dict[str, Path]:
    whole = write_checkpoint("arcface", folder / "whole.pt")
    names = ("half", "empty", "text", "zip", "nested", "image", "flipped")
    files = {name: folder / f"{name}.pt" for name in names}
    data = whole.read_bytes()
    files["half"].write_bytes(data[: len(data) // 2])
    files["empty"].write_bytes(b"")
    files["text"].write_text("<!DOCTYPE html><title>Quota exceeded</title>")
    with zipfile.ZipFile(files["zip"], "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with zipfile.ZipFile(files["nested"], "w") as archive:
        archive.write(whole, "whole.pt")
    files["image"].write_bytes(np.random.default_rng(0).bytes(3000))
    files["flipped"].write_bytes(data[:40] + b"\0" * 400 + data[440:])
    return files | {"missing": folder / "missing.pt", "folder": folder}


def test_damaged_files_end_in_one_sentence(tmp_path):
    for name, path in damaged_files(tmp_path).items():
        with pytest.raises(BundleError) as caught:
            convert("arcface", path, tmp_path / "out")
        message = str(caught.value)
        assert path.name in message and message.endswith(".") and "\n" not in message, name
    assert not (tmp_path / "out").exists()


def test_an_unknown_layout(tmp_path):
    with pytest.raises(RequestError, match="stylegan2, e4e, hfgi, sfe, arcface"):
        convert("stylegan3", tmp_path / "x.pt", tmp_path)


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    source = write_checkpoint("arcface", tmp_path / "public.pt")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tmsa_core.files.os.replace", full)
    with pytest.raises(BundleError, match="the disk is full: make room"):
        convert("arcface", source, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_the_command_reports_its_files(tmp_path, capsys):
    source = write_checkpoint("arcface", tmp_path / "public.pt")
    assert main(["convert", "arcface", str(source), str(tmp_path)]) == 0
    assert f"{tmp_path / 'arcface.safetensors'}: 0 MB" in capsys.readouterr().out
    assert main(["convert", "e4e", str(source), str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ") and error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
@torch.no_grad()
def test_the_full_size_e4e_file_gives_the_codes_of_the_original(tmp_path):
    kept = json.loads((Path(__file__).parent.parent / "goldens" / "networks.json").read_text())[
        "e4e"
    ]
    arrays = np.load(Path(__file__).parent.parent / "goldens" / "networks.npz")
    source = write_checkpoint("e4e", tmp_path / "e4e.pt", PUBLIC, kept["namespace"])
    assert source.stat().st_size > 1.2e9
    convert("e4e", source, tmp_path)
    encoder = load_network("e4e", tmp_path / "e4e.safetensors")
    image = synthetic_weights().smooth_image(kept["namespace"] + "input/image", 256, 256)
    codes = encoder(torch.from_numpy(image))[0, :, ::8]
    expected = torch.from_numpy(arrays["e4e_plus_average"])
    assert (codes - expected).abs().max() < 5e-5
