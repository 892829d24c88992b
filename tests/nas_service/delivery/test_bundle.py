"""A bundle tells what is in it, and whether it is what was made; checked by others' tools."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import subprocess
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from typer.testing import CliRunner

from nas_service.cli.bundles import verify
from nas_service.delivery.bundle import SBOM, BundledFile, write_bundle
from nas_service.delivery.signing import Signer
from nas_service.errors import InvalidSpec, NasError
from nas_service.settings import Settings
from nas_service.templates.signed import SIGNATURE, SUMS, check, faults, is_signed
from tests.tools import lacks

command = typer.Typer()
command.command()(verify)

DATA = {"name": "flowers", "digest": "d" * 64}
MODEL = "winner0/int8.onnx"


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return _key(tmp_path / "own")


def _key(var_dir: Path) -> Signer:
    return Signer.of(Settings(var_dir=var_dir))


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
    other = _public(tmp_path / "bundle", _key(tmp_path / "other"))
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
        return faults(
            names,
            (folder / SUMS).read_bytes(),
            lambda name: hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        )

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
    (folder / SIGNATURE).write_bytes(_key(tmp_path / "his").sign(sums.encode()))
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
    with ThreadPoolExecutor(8) as pool:
        made = {one.key_id for one in pool.map(lambda _: _key(tmp_path / "var"), range(16))}
    assert len(made) == 1
    (path,) = (tmp_path / "var").iterdir()
    assert path.name == "signing-key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_cannot_be_used_is_refused_by_the_setting(tmp_path: Path) -> None:
    other = generate_private_key(SECP256R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings = Settings(var_dir=tmp_path, signing_key=tmp_path / "key.pem")
    with pytest.raises(InvalidSpec, match=r"NAS_SIGNING_KEY: .*No such file"):
        Signer.of(settings)  # one that is named is not made
    for content, why in ((pem, "another kind"), (b"nonsense", "no private key")):
        (tmp_path / "key.pem").write_bytes(content)
        with pytest.raises(InvalidSpec, match=f"NAS_SIGNING_KEY: .*{why}"):
            Signer.of(settings)


def _verify(*arguments: Path | str) -> tuple[int, str]:
    """What `nas verify` says, on one line."""
    done = CliRunner().invoke(command, list(map(str, arguments)))
    if done.exception is None or isinstance(done.exception, SystemExit):
        return done.exit_code, done.output
    assert isinstance(done.exception, NasError), repr(done.exception)
    assert "\n" not in done.exception.detail
    return 2, done.exception.detail


def test_nas_verify_takes_what_was_made_packed_or_not(
    bundle: Path, tmp_path: Path, signer: Signer
) -> None:
    keys = tmp_path / "keys.pem"  # of a service with several
    keys.write_text(_key(tmp_path / "another").public_pem + signer.public_pem)
    for one in (bundle, _unpacked(bundle)):
        code, told = _verify(one, "--key", keys)
        assert code == 0, told
        assert "files as made, signed by keys.pem" in told


def _twice(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        files = {one: archive.read(one) for one in archive.namelist()}
    with warnings.catch_warnings(), zipfile.ZipFile(bundle, "w") as archive:
        warnings.simplefilter("ignore")  # of the name that is there
        archive.writestr("verify.py", "print('mine')")
        for name, content in files.items():
            archive.writestr(name, content)


def _no_longer_whole(bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        at = archive.getinfo("report.json").header_offset
    content[at + 60 : at + 70] = b"\0" * 10
    bundle.write_bytes(bytes(content))


def _encrypted(bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + offset] |= 1
    bundle.write_bytes(bytes(content))


def _cut_off(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-40])


@pytest.mark.parametrize("damage", [_twice, _no_longer_whole, _encrypted, _cut_off])
def test_nas_verify_says_in_a_line_what_is_wrong_with_an_archive(
    damage: Any, bundle: Path, tmp_path: Path, signer: Signer
) -> None:
    damage(bundle)
    code, told = _verify(bundle, "--key", _public(tmp_path, signer))
    assert code != 0
    assert str(bundle) in told


@pytest.mark.parametrize("planted", ["numpy.py", "__pycache__/signed.cpython-311.pyc", "link"])
def test_nas_verify_takes_no_folder_with_more_in_it(
    planted: str, bundle: Path, tmp_path: Path, signer: Signer
) -> None:
    folder = _unpacked(bundle)
    (folder / planted).parent.mkdir(exist_ok=True)
    if planted == "link":
        (folder / planted).symlink_to(tmp_path)
    else:
        (folder / planted).write_bytes(b"")
    code, told = _verify(folder, "--key", _public(tmp_path, signer))
    assert code != 0
    assert planted in told


def test_nas_verify_knows_a_bundle_of_another_key(bundle: Path, tmp_path: Path) -> None:
    code, told = _verify(bundle, "--key", _public(tmp_path, _key(tmp_path / "other")))
    assert code != 0
    assert "signed by none of the keys" in told
