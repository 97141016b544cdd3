#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "api/installer/installer_client.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/lab.h"
#include "cli/lab_layout.h"
#include "merkle/proof.h"
#include "sys/file.h"
#include "sys/users.h"
#include "translog/log_reader.h"

namespace fleetseal::cli {
namespace {

std::optional<std::string> ReadIfThere(const std::string& path) {
  auto text = sys::ReadTextFile(path, 4 * 1024 * 1024);
  if (!text) return std::nullopt;
  return *std::move(text);
}

Result<api::installer::OfferDocumentsRequest> LoadDocuments(const std::string& folder) {
  api::installer::OfferDocumentsRequest request;
  TRY_ASSIGN(const auto names, sys::ListDirectory(folder));
  for (const auto& name : names) {
    if (!name.starts_with("root-package-")) continue;
    TRY_ASSIGN(auto text, sys::ReadTextFile(folder + "/" + name, 1024 * 1024));
    request.packages.push_back(std::move(text));
  }
  request.status = ReadIfThere(folder + "/status.jws");
  request.order = ReadIfThere(folder + "/order.jws");
  request.manifest_signature = ReadIfThere(folder + "/manifest.jws");
  request.log_proof = ReadIfThere(folder + "/log.proof");
  if (const auto manifest = ReadIfThere(folder + "/manifest.json")) request.manifest = ToBytes(*manifest);
  return request;
}

// The proof that the log of the documents goes on from the one that the device knows; an agent gets it at its check-in.
Status AddConsistency(const std::string& log_directory, api::installer::InstallerClient& client,
                      api::installer::OfferDocumentsRequest& request) {
  if (!request.log_proof) return {};
  TRY_ASSIGN(const auto state, client.State());
  TRY_ASSIGN(const auto proof, merkle::ParseLogProof(*request.log_proof));
  TRY_ASSIGN(const auto note, merkle::ParseNote(proof.checkpoint_note));
  TRY_ASSIGN(const auto checkpoint, merkle::ParseCheckpoint(note.text));
  if (!state.checkpoint || static_cast<uint64_t>(state.checkpoint->size) >= checkpoint.size) return {};
  const auto reader = translog::LogReader::OfDirectory(log_directory);
  TRY_ASSIGN(request.consistency, reader.ConsistencyProof(static_cast<uint64_t>(state.checkpoint->size), checkpoint));
  return {};
}

// Streams `file` as the first content that the installer wants.
Status OfferContent(api::installer::InstallerClient& client, const api::installer::WantedContent& wanted, int file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Fail(ErrorCode::kStorageFailed, "no pipe");
  sys::FileDescriptor read_end(ends[0]);
  sys::FileDescriptor write_end(ends[1]);
  TRY(client.StartContent({wanted.file_id, wanted.sealed_sha256}, read_end.get()));
  read_end.Reset();
  Bytes buffer(64 * 1024);
  while (true) {
    TRY_ASSIGN(const size_t count, sys::ReadUpTo(file, buffer));
    if (count == 0) break;
    if (!sys::WriteAll(write_end.get(), ByteView(buffer).first(count))) break;  // the installer has seen enough
  }
  write_end.Reset();
  TRY(client.FinishContent());
  return {};
}

}  // namespace

Status LabOffer(Context& context, const LabOfferOptions& options) {
  TRY(Argument("--device", DeviceId::Parse(options.device)));
  const auto paths = LabDevice(options.directory, options.device);
  if (!sys::FileExists(paths.agent_config())) {
    return Fail(ErrorCode::kNotFound, "the lab in " + options.directory + " has no device " + options.device +
                                          "; `fleetseal lab status --dir " + options.directory + "` lists them");
  }
  TRY_ASSIGN(auto request, LoadDocuments(options.documents));
  if (request.packages.empty() && !request.status && !request.order && !request.manifest_signature) {
    return BadArgument("--documents", options.documents + " holds no documents; `fleetseal update show UPDATE " +
                                          "--documents DIR --device ID` writes them");
  }
  signal(SIGPIPE, SIG_IGN);
  // Opened while this process may still read everything.
  sys::FileDescriptor content;
  if (!options.content.empty()) {
    TRY_ASSIGN(content, sys::OpenFile(options.content, O_RDONLY | O_CLOEXEC));
  }
  // The installer answers one user only: the agent's. This process becomes that user for good.
  TRY(sys::BecomeOwnerOf(paths.agent_config()));
  TRY_ASSIGN_CONTEXT(auto client, api::installer::InstallerClient::Connect(paths.socket()),
                     "reaching the installer of " + options.device);
  TRY_CONTEXT(AddConsistency(options.directory + "/org/log", client, request), "proving that the log goes on");
  TRY_ASSIGN(const auto outcome, client.OfferDocuments(request));
  if (outcome.refusal) {
    return Fail(outcome.refusal->code,
                options.device + " refused the " + outcome.refusal->document + ": " + outcome.refusal->detail);
  }
  if (content.is_open()) {
    if (outcome.wanted.empty()) return Fail(ErrorCode::kConflict, "the installer wants no content");
    TRY_CONTEXT(OfferContent(client, outcome.wanted.front(), content.get()), options.device + " and its content");
  }
  codec::Json json = codec::Json::MakeObject();
  codec::Json accepted = codec::Json::MakeArray();
  for (const auto& name : outcome.accepted) accepted.Push(name);
  json.Set("device", options.device)
      .Set("accepted", std::move(accepted))
      .Set("phase", api::installer::PhaseName(outcome.phase));
  Answer(context, json,
         options.device + " accepted the documents, phase " + std::string(api::installer::PhaseName(outcome.phase)));
  return {};
}

}  // namespace fleetseal::cli
