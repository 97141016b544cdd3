"""The refusal corpus: installer, library and `fleetseal verify` refuse each case with its code, and keep what came before it.

tests/conformance/refusals/README.md says what a case is. The names of the tests carry the rows of the requirements that they show.
"""
import collections
import concurrent.futures
import os
import re

import pytest

import corpus
import corpus_cases
import judges
import sources
from clock import StoppedClock
from documents import b64u, sha256
from installer import Installer

CASES = {path: corpus.Case(path) for path in corpus.paths()}
CONTROLS = {path: corpus.Case(path) for path in corpus.control_paths()}
SANITIZED = "FLEETSEAL_SANITIZE:BOOL=ON" in open(os.path.join(os.path.dirname(os.path.abspath(judges.BIN)), "CMakeCache.txt"), encoding="utf-8").read()


def name_of(path):
    case = CASES.get(path) or CONTROLS[path]
    return "-".join([row.replace(".", "_") for row in case.rows] + [path])


@pytest.fixture(scope="module")
def installers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installers")
    judge = judges.InstallerJudge(folder, StoppedClock(folder, next(iter(CONTROLS.values())).now))
    yield judge
    judge.stop()


@pytest.fixture(scope="module")
def library():
    # A sanitizer must be in the process from its start, and Python was built without one.
    return None if SANITIZED else judges.LibraryJudge()


@pytest.fixture(scope="module")
def by_verify(tmp_path_factory):
    """The verdicts of `fleetseal verify`, a process each, made beside the others."""
    judge = judges.VerifyJudge(tmp_path_factory.mktemp("verify"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        verdicts = {path: pool.submit(judge.judge, case) for path, case in {**CASES, **CONTROLS}.items() if "verify" in case.judges}
        yield lambda case: verdicts[case.path].result()
        for verdict in verdicts.values():
            verdict.cancel()


def by_installer(installers, case):
    """Its verdict, and whether everything but the receipts is byte for byte what it was and its log names the refusal (I1)."""
    if case.accepted:
        device = installers.copy(case.base)
        active = device.active_slot()
        try:
            verdict = device.judge(case)
            assert device.logged == [(verdict.document, verdict.code)], case.title
            assert device.active_slot() == active and device.state()["phase"] == "idle"
            return verdict
        finally:
            device.stop()
    device = installers.device(case.base)
    before = device.fingerprint()
    try:
        verdict = device.judge(case)
        assert device.logged == [(verdict.document, verdict.code)], case.title
        assert device.fingerprint() == before
        assert "journal" not in device.state_file()
    except Exception:
        installers.replace(case.base)
        raise
    return verdict


def verdicts_of(case, installers, library, by_verify):
    found = {"installer": by_installer(installers, case)}
    if "verify" in case.judges:
        found["verify"] = by_verify(case)
    if "library" in case.judges and library:
        found["library"] = library.judge(case)
    return found


def base_state(case):
    return b64u(sha256(corpus.read_text(f"bases/{case.base}/trust-state.json")))


@pytest.mark.parametrize("path", CASES, ids=name_of)
def test_refused(path, installers, library, by_verify):
    case = CASES[path]
    expected = (case.accepted, case.refused["document"], case.refused["code"])
    found = verdicts_of(case, installers, library, by_verify)
    assert {judge: tuple(verdict[:3]) for judge, verdict in found.items()} == {judge: expected for judge in found}, case.title
    assert all(verdict.detail.startswith(case.refused.get("because", "")) for verdict in found.values()), (case.title, found)
    states = {verdict.state for verdict in found.values()}
    assert len(states) == 1 and (base_state(case) in states) == (not case.accepted)


@pytest.mark.parametrize("path", CONTROLS, ids=name_of)
def test_right_documents_are_accepted(path, installers, library, by_verify):
    case = CONTROLS[path]
    device = installers.copy(case.base)
    try:
        found = {"installer": device.judge(case), "verify": by_verify(case)}
        assert device.logged == []
    finally:
        device.stop()
    if library:
        found["library"] = library.judge(case)
    assert {judge: (verdict.accepted, verdict.code) for judge, verdict in found.items()} == {judge: (case.accepted, None) for judge in found}, case.title
    assert len({verdict.state for verdict in found.values()}) == 1


@pytest.mark.parametrize("name", corpus.base_names())
def test_what_a_device_has_lived_through_leads_to_the_trust_state_of_its_base(name, installers):
    """By the real installer; the state was written by an independent implementation of docs/protocol/trust-state.md."""
    assert installers.device(name).trust_text() == judges.Base(name).state


@pytest.mark.parametrize("kind", corpus.people_kinds())
def test_S1_17_S1_31_S1_53_what_people_devices_and_roots_sign_is_held_to_its_form_too(kind, tmp_path):
    """No device gets these documents: `fleetseal verify` judges all cases of a kind in one run."""
    value = corpus.read_json(f"people/{kind}.json")
    expected = {case["name"]: ("refused", case["code"]) if "code" in case else ("not judged", None) for case in value["cases"]}
    found = judges.VerifyJudge(tmp_path).judge_people(kind)
    assert found.pop("accepted") == ("ok", None)
    assert {name: found[name] for name in expected if found[name] != expected[name]} == {}, {name: expected[name] for name in expected if found[name] != expected[name]}
    assert found.keys() == expected.keys()


# --- the corpus itself ---------------------------------------------------------------------------------------------------------


def test_the_corpus_is_what_its_script_makes():
    made = corpus_cases.make()
    assert corpus.differences(made) == []
    assert set(made.cases) == set(CASES)


def test_there_are_enough_cases_and_each_has_a_control_that_is_accepted():
    assert len(CASES) >= 300
    assert all(case.control.accepted and case.control.refused is None for case in CASES.values())
    # A case that changes nothing would be no case.
    assert all(case.changes or case.content or case.now != case.control.now for case in CASES.values())


def test_a_case_that_not_everybody_can_judge_says_why():
    alone = {path: case for path, case in CASES.items() if case.judges != corpus.JUDGES}
    assert all(case.why for case in alone.values())
    assert {path.split("/")[0] for path in alone} == {"content", "content-key", "handler", "nested-content-key"}


# --- what is covered -----------------------------------------------------------------------------------------------------------

# Trust model section 8, and what was added to the table of codes for devices since.
CODES = """DisallowedRootKid DisallowedSigningKey UnknownRootKid SigningKeyNotListed RoleNotAllowed ProductNotAllowed SignatureInvalid AlgorithmNotAllowed
TypMismatch PackageStepInvalid PackageExpired StatusExpired StatusReplayed OrderNotForThisDevice OrderReplayed OrderExpired ManifestHashMismatch Withdrawn
RollbackRefused PermitInvalid NotCompatible DeliveryNotAllowed LogProofMissing LogForked QuorumMissing FileHashMismatch FileTooLarge DecryptFailed AudienceMismatch
SigningKeyExpired OutsideWindow HandlerUnknown PackageVersionTooLow OrderCancelled PqSignatureMissing JsonInvalid JsonDuplicateMember JsonTooDeep
JsonNumberInvalid MemberMissing MemberUnknown MemberTypeWrong ValueOutOfRange Base64Invalid DocumentTooLarge TextInvalid JwsMalformed HeaderNotAllowed
IdInvalid FormatVersionUnknown Truncated KeyInvalid KeyWeak AlreadyExists""".split()
ROWS = [f"S1_{number}" for number in range(16, 57)] + [f"X{number}" for number in range(1, 11)]


def test_each_code_has_a_case():
    counts = collections.Counter(case.refused["code"] for case in CASES.values())
    missing = [code for code in CODES if not counts[code]]
    assert not missing and not counts.keys() - set(CODES), (missing, counts.keys() - set(CODES))


def named_tests():
    """Every test of the tree whose name carries rows, as (row, where)."""
    pattern = re.compile(r"^(?:def test_|TEST(?:_[FP])?\(\w+, )(\w+)", re.M)
    for folder in ("tests", "src"):
        for top, _, names in os.walk(os.path.join(sources.ROOT, folder)):
            for name in names:
                if not (name.startswith("test_") and name.endswith(".py")) and not name.endswith("_test.cc"):
                    continue
                with open(os.path.join(top, name), encoding="utf-8") as file:
                    for test in pattern.findall(file.read()):
                        for row in re.findall(r"S1_\d+|(?<![A-Za-z0-9])X\d+(?=_)", test):
                            yield row, f"{name}: {test}"
    for path, case in CASES.items():
        for row in case.rows:
            yield row.replace(".", "_"), path


def test_each_row_has_a_test_that_is_named_after_it():
    named = collections.Counter(row for row, _ in named_tests())
    missing = [row for row in ROWS if not named[row]]
    assert not missing, missing


def test_S1_20_S1_36_without_a_trust_state_nothing_is_judged(tmp_path, installers):
    """A device that has no root-key package refuses to start, and says so."""
    device = Installer.__new__(Installer)
    device.prepare(tmp_path)
    device.write("provisioning/device.json", judges.Base("fresh").device)
    with pytest.raises(AssertionError, match="TrustStateMissing"):
        device.start()
