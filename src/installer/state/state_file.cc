#include "installer/state/state_file.h"

#include <utility>

#include "base/limits.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "sys/file.h"

namespace fleetseal::installer {
namespace {

using codec::Json;
using codec::ObjectReader;

constexpr int64_t kFormat = 1;
// Trust state, journal and receipts at their bounds fit in half of it.
constexpr size_t kStateBytesMax = 8 * 1024 * 1024;
constexpr size_t kTrustBytesMax = 2 * 1024 * 1024;
constexpr size_t kMarkBytesMax = 256;
constexpr size_t kConsistencyMax = 64;
// Always the last member, and written in this one way.
constexpr std::string_view kSealMember = ",\"seal\":\"";

Json BuildDocuments(const trust::OrderDocuments& documents) {
  Json json = Json::MakeObject();
  json.Set("order", documents.order);
  json.Set("manifest", codec::EncodeBase64Url(AsBytes(documents.manifest)));
  json.Set("manifestSignature", documents.manifest_signature);
  json.Set("logProof", documents.log_proof);
  Json hashes = Json::MakeArray();
  for (const Sha256& hash : documents.consistency) hashes.Push(codec::EncodeBase64Url(hash.view()));
  json.Set("consistency", std::move(hashes));
  return json;
}

Result<trust::OrderDocuments> ParseDocuments(const Json& json) {
  ObjectReader reader(json, "documents");
  trust::OrderDocuments documents;
  documents.order = reader.String("order", limits::kJwsBytesMax);
  documents.manifest = std::string(AsText(reader.Base64Url("manifest", limits::kManifestBytesMax)));
  documents.manifest_signature = reader.String("manifestSignature", limits::kJwsBytesMax);
  documents.log_proof = reader.String("logProof", limits::kLogProofBytesMax);
  for (const std::string& text : reader.Strings("consistency", kConsistencyMax)) {
    auto hash = codec::DecodeBase64UrlSha256(text);
    if (!reader.Take(hash, "consistency")) break;
    documents.consistency.push_back(*hash);
  }
  TRY(reader.Finish());
  return documents;
}

Json BuildSteps(const std::vector<StepPlan>& steps) {
  Json array = Json::MakeArray();
  for (const StepPlan& step : steps) {
    Json json = Json::MakeObject();
    json.Set("handler", step.handler).Set("fileId", step.file_id.text());
    json.Set("target", step.target).Set("hadPrevious", step.had_previous);
    array.Push(std::move(json));
  }
  return array;
}

std::vector<StepPlan> ReadSteps(ObjectReader& reader) {
  std::vector<StepPlan> steps;
  for (const Json& item : reader.Array("steps", limits::kManifestStepsMax)) {
    ObjectReader inner(item, "step");
    StepPlan step;
    step.handler = inner.String("handler");
    step.file_id = inner.Parsed<FileId>("fileId");
    step.target = inner.String("target");
    step.had_previous = inner.Bool("hadPrevious");
    if (!reader.Take(inner.Finish(), "steps")) break;
    steps.push_back(std::move(step));
  }
  return steps;
}

Json BuildJournal(const Journal& journal) {
  Json phases = Json::MakeObject();
  for (const auto& [name, time] : journal.phases) phases.Set(name, time.value);
  Json json = Json::MakeObject();
  json.Set("phase", api::installer::PhaseName(journal.phase));
  json.Set("documents", BuildDocuments(journal.documents));
  json.Set("orderSha256", codec::EncodeBase64Url(journal.order_sha256.view()));
  json.Set("steps", BuildSteps(journal.steps));
  json.Set("phases", std::move(phases));
  json.Set("bootId", journal.boot_id);
  json.SetOptional("committedTrust", journal.committed_trust);
  json.SetOptional("receipt", journal.receipt);
  json.SetOptional("failure", journal.failure);
  return json;
}

Result<Journal> ParseJournal(const Json& json) {
  ObjectReader reader(json, "journal");
  Journal journal;
  auto phase = api::installer::PhaseFromName(reader.String("phase"));
  if (reader.is_good() && reader.Take(phase, "phase")) journal.phase = *phase;
  auto documents = ParseDocuments(reader.Object("documents"));
  if (reader.is_good() && reader.Take(documents, "documents")) journal.documents = *std::move(documents);
  journal.order_sha256 = reader.Base64UrlSha256("orderSha256");
  journal.steps = ReadSteps(reader);
  const Json& phases = reader.Object("phases");
  if (reader.is_good()) {
    for (const auto& [name, time] : phases.as_object()) {
      if (time.is_integer())
        journal.phases[name] = {time.as_integer()};
      else
        reader.Stop(ErrorCode::kMemberTypeWrong, "phases", "a time is no integer");
    }
  }
  journal.boot_id = reader.String("bootId");
  journal.committed_trust = reader.OptionalString("committedTrust", kTrustBytesMax);
  journal.receipt = reader.OptionalString("receipt", limits::kJwsBytesMax);
  journal.failure = reader.OptionalString("failure");
  TRY(reader.Finish());
  return journal;
}

}  // namespace

std::string PersistedState::Serialize() const {
  Json json = Json::MakeObject();
  json.Set("format", kFormat).Set("trust", trust.Serialize());
  if (journal) json.Set("journal", BuildJournal(*journal));
  json.Set("receipts", receipts.ToJson());
  if (finished) {
    Json object = Json::MakeObject();
    object.Set("orderSha256", codec::EncodeBase64Url(finished->order_sha256.view()));
    object.SetOptional("code", finished->code);
    json.Set("finished", std::move(object));
  }
  if (awaited.ordered > 0 || awaited.since) {
    Json object = Json::MakeObject();
    object.Set("ordered", awaited.ordered);
    if (awaited.since) object.Set("since", awaited.since->value);
    json.Set("awaited", std::move(object));
  }
  json.Set("serial", serial);
  return json.Serialize();
}

Result<PersistedState> PersistedState::Parse(std::string_view text) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text, {.bytes_max = kStateBytesMax}));
  ObjectReader reader(json, "state.json");
  PersistedState state;
  if (reader.Integer("format") != kFormat) reader.Stop(ErrorCode::kFormatVersionUnknown, "format", "not 1");
  auto trust = trust::TrustState::Parse(reader.String("trust", kTrustBytesMax));
  if (reader.is_good() && reader.Take(trust, "trust")) state.trust = *std::move(trust);
  if (const Json* object = reader.OptionalObject("journal")) {
    auto journal = ParseJournal(*object);
    if (reader.Take(journal, "journal")) state.journal = *std::move(journal);
  }
  auto receipts = ReceiptChain::FromJson(reader.Object("receipts"));
  if (reader.is_good() && reader.Take(receipts, "receipts")) state.receipts = *std::move(receipts);
  if (const Json* object = reader.OptionalObject("finished")) {
    ObjectReader inner(*object, "finished");
    FinishedOrder finished;
    finished.order_sha256 = inner.Base64UrlSha256("orderSha256");
    finished.code = inner.OptionalString("code");
    if (reader.Take(inner.Finish(), "finished")) state.finished = std::move(finished);
  }
  if (const Json* object = reader.OptionalObject("awaited")) {
    ObjectReader inner(*object, "awaited");
    state.awaited.ordered = inner.Integer("ordered");
    state.awaited.since = inner.OptionalTime("since");
    reader.Take(inner.Finish(), "awaited");
  }
  state.serial = reader.Integer("serial", 1);
  TRY(reader.Finish());
  return state;
}

StateFile::StateFile(const std::string& directory, const SecretBytes& seal_key)
    : path_(sys::JoinPath(directory, "state.json")),
      mark_path_(sys::JoinPath(directory, "state.mark")),
      seal_key_(seal_key) {}

std::string StateFile::SealOf(std::string_view text) const {
  return std::string(kSealMember) +
         codec::EncodeBase64Url(crypto::HmacSha256(seal_key_.reveal(), AsBytes(text)).view()) + "\"}";
}

Result<std::string> StateFile::Unsealed(const std::string& path, std::string_view sealed) const {
  const size_t seal = sealed.rfind(kSealMember);
  if (seal == std::string_view::npos) return Fail(ErrorCode::kStateDamaged, path + " has no seal");
  std::string text(sealed.substr(0, seal));
  text += '}';
  if (!IsEqualConstantTime(AsBytes(SealOf(text)), AsBytes(sealed.substr(seal))))
    return Fail(ErrorCode::kStateDamaged, path + " is not what this installer wrote");
  return text;
}

Result<int64_t> StateFile::LoadMark() const {
  TRY_ASSIGN(const std::string sealed, sys::ReadTextFile(mark_path_, kMarkBytesMax));
  TRY_ASSIGN(const std::string text, Unsealed(mark_path_, sealed));
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  ObjectReader reader(json, "state.mark");
  const int64_t serial = reader.Integer("mark");
  TRY(reader.Finish());
  return serial;
}

Status StateFile::SaveMark(int64_t serial) const {
  const std::string text = Json::MakeObject().Set("mark", serial).Serialize();
  const std::string sealed = text.substr(0, text.size() - 1) + SealOf(text);
  return sys::WriteFileDurably(mark_path_, AsBytes(sealed), 0600);
}

Result<PersistedState> StateFile::Load() const {
  const auto mark = LoadMark();
  if (!mark && mark.error().code != ErrorCode::kNotFound) return tl::unexpected(mark.error());
  const auto sealed = sys::ReadTextFile(path_, kStateBytesMax);
  if (!sealed && sealed.error().code == ErrorCode::kNotFound && mark.value_or(0) > 0)
    return Fail(ErrorCode::kStateDamaged, path_ + " is gone");
  if (!sealed) return tl::unexpected(sealed.error());
  TRY_ASSIGN(const std::string text, Unsealed(path_, *sealed));
  auto state = PersistedState::Parse(text);
  if (!state) return Fail(ErrorCode::kStateDamaged, path_ + ": " + state.error().ToString());
  if (!mark) return Fail(ErrorCode::kStateDamaged, mark_path_ + " is gone");
  if (state->serial < *mark)
    return Fail(ErrorCode::kStateDamaged, path_ + " is an older copy: save " + std::to_string(state->serial) +
                                              ", and the last one was " + std::to_string(*mark));
  return state;
}

Status StateFile::Save(const PersistedState& state) const {
  // A mark from before the first state, so that from then on a missing one says something.
  if (state.serial == 1) TRY(SaveMark(0));
  const std::string text = state.Serialize();
  const std::string sealed = text.substr(0, text.size() - 1) + SealOf(text);
  TRY(sys::WriteFileDurably(path_, AsBytes(sealed), 0600));
  // The state holds already: a mark that lags behind sees less, and the next save brings it up.
  (void)SaveMark(state.serial);
  return {};
}

}  // namespace fleetseal::installer
