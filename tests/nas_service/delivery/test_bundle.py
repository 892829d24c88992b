"""A bundle tells what is in it, and whether it is what was made; checked by others' tools."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from nas_service.delivery.bundle import SBOM, BundledFile, write_bundle
from nas_service.delivery.signing import Signer
from nas_service.errors import InvalidSpec
from nas_service.templates.signed import SIGNATURE, SUMS, check, faults, is_signed
from tests.tools import lacks

DATA = {"name": "flowers", "digest": "d" * 64}
MODEL = "winner0/int8.onnx"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.of(tmp_path / "key.pem")


@pytest.fixture
def bundle(tmp_path: Path, signer: Signer) -> Path:
    return _bundle(tmp_path / "bundle.zip", signer)


def _bundle(path: Path, signer: Signer) -> Path:
    model, samples = path.with_name("int8.onnx"), path.with_name("parity.npz")
    model.write_bytes(b"a model")
    samples.write_bytes(b"samples")
    row = BundledFile("winner0", "int8.onnx", "parity.npz", "onnxruntime", "int8", 1.5, True)
    contents = {MODEL: model, "winner0/parity.npz": samples}
    texts = {"verify.py": "# checks", "class_names.json": '["é"]'}
    write_bundle(path, {"dataset": DATA}, [row], contents, texts, signer)
    return path


def _unpacked(bundle: Path) -> Path:
    folder = bundle.with_suffix("")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def _public(folder: Path, signer: Signer) -> Path:
    path = folder / "public.pem"
    path.write_text(signer.public_pem)
    return path


def test_the_digests_are_what_sha256sum_checks(bundle: Path) -> None:
    if shutil.which("sha256sum") is None:
        lacks("sha256sum is not installed (Debian: coreutils)")
    folder = _unpacked(bundle)
    command = ["sha256sum", "--strict", "-c", SUMS]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    checked = {line.rpartition(": ")[0] for line in done.stdout.splitlines()}
    with zipfile.ZipFile(bundle) as archive:
        assert checked == set(archive.namelist()) - {SUMS, SIGNATURE}


def test_the_signature_is_what_openssl_checks(bundle: Path, tmp_path: Path, signer: Signer) -> None:
    if shutil.which("openssl") is None:
        lacks("OpenSSL is not installed (Debian: openssl)")
    folder, key = _unpacked(bundle), _public(tmp_path, signer)
    other = _public(tmp_path / "bundle", Signer.of(tmp_path / "other.pem"))
    codes = []
    for one in (key, other):
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(one), "-rawin"]
        command += ["-in", SUMS, "-sigfile", SIGNATURE]
        codes.append(subprocess.run(command, cwd=folder, capture_output=True, check=False))
    assert [one.returncode == 0 for one in codes] == [True, False]


def test_the_bill_is_cyclonedx_and_names_files_libraries_and_data(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        text = archive.read(SBOM).decode()
        model = hashlib.sha256(archive.read(MODEL)).hexdigest()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    by_name: dict[str, Any] = {one["name"]: one for one in json.loads(text)["components"]}
    assert by_name[MODEL]["type"] == "machine-learning-model"
    assert by_name[MODEL]["hashes"] == [{"alg": "SHA-256", "content": model}]
    assert {one["name"]: one["value"] for one in by_name[MODEL]["properties"]} == {
        "nas:runtime": "onnxruntime",
        "nas:precision": "int8",
    }
    assert by_name["onnxruntime"]["purl"].startswith("pkg:pypi/onnxruntime@")
    assert by_name["flowers"]["hashes"][0]["content"] == DATA["digest"]


def test_the_same_files_have_the_same_digests_and_signature(tmp_path: Path, signer: Signer) -> None:
    told = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with zipfile.ZipFile(_bundle(tmp_path / name / "bundle.zip", signer)) as archive:
            told.append((archive.read(SUMS), archive.read(SIGNATURE)))
    assert told[0] == told[1]


def _changed(folder: Path) -> str:
    (folder / MODEL).write_bytes(b"another")
    return f"{MODEL} is not the file that was made"


def _gone(folder: Path) -> str:
    (folder / "verify.py").unlink()
    return "verify.py is missing"


def _more(folder: Path) -> str:
    (folder / "numpy.py").write_text("")
    return "numpy.py is not listed"


@pytest.mark.parametrize("tamper", [_changed, _gone, _more])
def test_what_is_not_as_it_was_made_is_named(tamper: Any, bundle: Path) -> None:
    folder = _unpacked(bundle)

    def now() -> list[str]:
        names = [one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()]
        return faults(names, lambda name: (folder / name).read_bytes())

    assert now() == []
    expected = tamper(folder)
    assert now() == [expected]


def test_a_list_of_other_digests_is_signed_by_no_key_of_the_service(
    bundle: Path, tmp_path: Path, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who changes a file can write its digest, and sign with a key of his own."""
    folder, key = _unpacked(bundle), _public(tmp_path, signer)
    assert check(folder, key)
    old = hashlib.sha256(b"a model").hexdigest()
    (folder / MODEL).write_bytes(b"another")
    sums = (folder / SUMS).read_text().replace(old, hashlib.sha256(b"another").hexdigest())
    (folder / SUMS).write_text(sums)
    (folder / SIGNATURE).write_bytes(Signer.of(tmp_path / "his.pem").sign(sums.encode()))
    assert check(folder)  # the digests alone say nothing of this
    assert not check(folder, key)
    assert "was not signed by public.pem" in capsys.readouterr().out


@pytest.mark.parametrize("by", ["the package", "OpenSSL"])
def test_a_signature_is_checked_by_whatever_is_there(
    by: str, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "OpenSSL":
        if shutil.which("openssl") is None:
            lacks("OpenSSL is not installed (Debian: openssl)")
        monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    key, content = signer.public_pem.encode(), b"content"
    assert is_signed(content, signer.sign(content), key)
    assert not is_signed(b"other", signer.sign(content), key)
    assert not is_signed(content, b"0" * 64, key)
    with pytest.raises(RuntimeError):
        is_signed(content, signer.sign(content), b"no key")


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "key.pem"
    with ThreadPoolExecutor(8) as pool:
        made = {one.key_id for one in pool.map(lambda _: Signer.of(path), range(16))}
    assert len(made) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["key.pem"]


def test_another_kind_of_key_is_refused_by_the_setting(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content, why in ((pem, "another kind"), (b"nonsense", "no private key")):
        (tmp_path / "key.pem").write_bytes(content)
        with pytest.raises(InvalidSpec, match=f"NAS_SIGNING_KEY: .*{why}"):
            Signer.of(tmp_path / "key.pem")
