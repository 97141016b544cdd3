#include "server/device_api/device_api.h"

#include "api/device/messages.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "server/core/answers.h"
#include "server/core/identity.h"
#include "server/rollouts/rollout_service.h"

namespace fleetseal::server {
namespace {

using http::Method;
using http::PeerRule;
using http::Request;
using http::Response;

constexpr size_t kNonceBytesMax = 64;
// A body of receipts: 256 of a few KiB each.
constexpr uint64_t kReceiptsBodyMax = 4 * 1024 * 1024;
constexpr std::chrono::milliseconds kTaskTimeout{30'000};

// Answers later, from a thread that may block. `make` runs there.
Response Later(TaskPool& tasks, const std::string& request_id, std::function<Response()> make) {
  http::Parked parked;
  parked.timeout = kTaskTimeout;
  parked.on_timeout = [request_id] {
    return http::ProblemResponse(ErrorCode::kTimedOut, request_id, std::nullopt, 503);
  };
  parked.subscribe = [&tasks, request_id, make = std::move(make)](http::Responder responder) {
    const auto shared = std::make_shared<http::Responder>(std::move(responder));
    if (tasks.Submit([shared, make] { shared->Send(make()); })) return;
    shared->Send(http::ProblemResponse(ErrorCode::kLimitExceeded, request_id, "too many devices at once", 503));
  };
  return http::ParkedResponse(std::move(parked));
}

Response Packages(const Core& core, const Request& request) {
  const auto from = QueryNumber(request, "from");
  if (!from) return Problem(from.error(), request);
  api::device::PackagesAnswer answer;
  answer.packages = core.documents.Get()->PackagesFrom(from->value_or(1));
  return http::JsonResponse(200, answer.Build());
}

Response NonceStatus(Core& core, const Request& request) {
  const auto nonce = codec::DecodeBase64Url(request.Query("nonce"));
  if (!nonce) return Problem(nonce.error(), request);
  if (nonce->empty() || nonce->size() > kNonceBytesMax) {
    return http::ProblemResponse(ErrorCode::kValueOutOfRange, request.request_id, "a nonce has 1 to 64 bytes");
  }
  return Later(core.nonce_tasks, request.request_id, [&core, copy = request, bytes = *nonce] {
    const auto status = core.signer.With([&](SignerPool::Client& client) { return client.Status(bytes); });
    if (!status) return Problem(status.error(), copy);
    return http::JsonResponse(200, api::device::StatusAnswer{*status}.Build());
  });
}

Response StatusRoute(Core& core, const Request& request) {
  if (!request.Query("nonce").empty()) return NonceStatus(core, request);
  const auto documents = core.documents.Get();
  if (!documents->status_answer) return http::ProblemResponse(ErrorCode::kUnreachable, request.request_id);
  return http::SharedResponse(200, "application/json", documents->status_answer);
}

Result<api::device::CheckInRequest> ReadCheckIn(const Core& core, const Request& request, UnixSeconds& ends) {
  TRY_ASSIGN(const DeviceIdentity device, ActiveDeviceOf(core, request));
  ends = device.ends;
  TRY_ASSIGN(api::device::CheckInRequest body, api::device::CheckInRequest::Parse(request.body));
  if (body.device_id != device.id)
    return Fail(ErrorCode::kDeviceIdMismatch, "the certificate is of " + device.id.text());
  return body;
}

// Trust model section 9. Late: nothing to do for whoever has given up waiting, and nothing to tell a copy either.
Response TurnedBack(const DeviceApiParts& parts, const Request& request, const api::device::CheckInRequest& body,
                    const CheckInOutcome& outcome) {
  if (outcome.is_late) {
    api::device::CheckInAnswer answer;
    answer.next_check_in_seconds = parts.core.config.check_in_seconds;
    return http::JsonResponse(200, answer.Build());
  }
  return Later(parts.core.tasks, request.request_id,
               [&devices = parts.devices, copy = request, id = body.device_id, generation = body.generation,
                lower = *outcome.lower] {
                 const Status done = devices.Quarantine(id, generation, lower, copy.remote_address());
                 return Problem(done ? Error{ErrorCode::kDeviceQuarantined, id.text(), ""} : done.error(), copy);
               });
}

// On the I/O thread: memory only, unless there is an order to offer or the device was turned back.
Response CheckIn(const DeviceApiParts& parts, const Request& request) {
  Core& core = parts.core;
  UnixSeconds certificate_ends;
  Result<api::device::CheckInRequest> body = ReadCheckIn(core, request, certificate_ends);
  if (!body) return Problem(body.error(), request);
  core.metrics.check_ins.fetch_add(1, std::memory_order_relaxed);
  const CheckInOutcome outcome = core.devices.CheckIn(*body, core.clock.Now(), certificate_ends);
  if (outcome.lower) return TurnedBack(parts, request, *body, outcome);
  if (outcome.order) {
    return Later(core.tasks, request.request_id,
                 [&offers = parts.offers, copy = request, body = *std::move(body), order = *outcome.order] {
                   const auto answer = offers.Offer(body, order, copy.remote_address());
                   if (!answer) return Problem(answer.error(), copy);
                   return http::JsonResponse(200, answer->Build());
                 });
  }
  const auto documents = core.documents.Get();
  if (!documents->answer) return http::ProblemResponse(ErrorCode::kUnreachable, request.request_id);
  if (body->package_version >= documents->newest_version()) {
    const bool lacks_status = documents->HasNewerStatus(body->status);
    return http::SharedResponse(200, "application/json",
                                lacks_status ? documents->answer_with_status : documents->answer);
  }
  return http::JsonResponse(200, AnswerWithoutOrder(*documents, *body, core.config.check_in_seconds).Build());
}

Result<std::string> Receipts(const Core& core, ReceiptService& receipts, const Request& request) {
  TRY_ASSIGN(const DeviceIdentity device, ActiveDeviceOf(core, request));
  TRY_ASSIGN(const auto body, api::device::ReceiptsRequest::Parse(request.body));
  TRY_ASSIGN(const auto answer, receipts.Take(device.id, body, request.remote_address()));
  return answer.Build();
}

// One content on its way to one device.
struct Download {
  DeviceIdentity device;
  std::string origin;
  Sha256 content;
  std::shared_ptr<const OfferSet> set;
};

Status NoteDownload(Core& core, const Download& download, std::string_view event, std::optional<int64_t> bytes) {
  TRY_ASSIGN(const StoredUpdate update, core.updates.Find(download.set->manifest_sha256));
  return core.device_store.AppendEvents({DeviceEvent{.device_id = download.device.id,
                                                     .time = core.clock.Now(),
                                                     .event = std::string(event),
                                                     .actor = download.device.id.text(),
                                                     .origin = download.origin,
                                                     .plan_id = download.set->plan_id,
                                                     .update = UpdateName(update),
                                                     .manifest_sha256 = download.set->manifest_sha256,
                                                     .content_sha256 = download.content,
                                                     .bytes = bytes}});
}

// A device that was suspended or revoked, a rollout that was paused or cancelled, a file that was found damaged
// (S0.21): what is on its way ends too.
bool MayGoOn(const Core& core, const Download& download) {
  const DeviceIdentity& device = download.device;
  return core.devices.Authenticate(device.id, device.certificate, device.key) && core.content->Has(download.content) &&
         core.devices.JudgeContent(device.id, download.content);
}

Result<Response> Content(Core& core, const Request& request) {
  TRY_ASSIGN(const DeviceIdentity device, ActiveDeviceOf(core, request));
  TRY_ASSIGN(const Sha256 digest, codec::DecodeHexSha256(request.Param("sha256")));
  auto judged = core.devices.JudgeContent(device.id, digest);
  if (!judged) return Fail(judged.error());
  TRY_ASSIGN(content::OpenedObject object, core.content->OpenObject(digest));
  const auto download =
      std::make_shared<const Download>(Download{device, request.remote_address(), digest, *std::move(judged)});
  TRY(NoteDownload(core, *download, "download-started", std::nullopt));
  http::FileBody body;
  body.size = object.size.value;
  body.etag = codec::EncodeHex(digest);
  body.may_go_on = [&core, download] { return MayGoOn(core, *download); };
  body.on_sent = [&core, download, size = object.size.value](uint64_t end) {
    if (end != size) return;  // a part from the middle
    const bool is_queued = core.tasks.Submit([&core, download, size] {
      const Status noted = NoteDownload(core, *download, "download-finished", static_cast<int64_t>(size));
      if (!noted) LogFailure("event.write-failed", noted.error());
    });
    if (!is_queued) LogFailure("event.write-failed", {ErrorCode::kLimitExceeded, "too many tasks", ""});
  };
  TRY_ASSIGN(body.file, http::OpenedFile::Adopt(object.fd.Release()));
  return http::FileResponse("application/octet-stream", std::move(body));
}

}  // namespace

Status AddDeviceRoutes(http::Router& router, const DeviceApiParts& parts) {
  Core& core = parts.core;
  ReceiptService& receipts = parts.receipts;
  http::RouteOptions open;
  open.peer = PeerRule::kNone;
  http::RouteOptions json;
  json.media_types = {"application/json"};
  http::RouteOptions large = json;
  large.body_bytes_max = kReceiptsBodyMax;
  TRY(router.OnIoThread(
      Method::kGet, std::string(api::device::kPackagesPath),
      [&core](const Request& request) { return Packages(core, request); }, open));
  TRY(router.OnIoThread(
      Method::kGet, std::string(api::device::kStatusPath),
      [&core](const Request& request) { return StatusRoute(core, request); }, open));
  TRY(router.OnIoThread(
      Method::kPost, std::string(api::device::kCheckInPath),
      [parts](const Request& request) { return CheckIn(parts, request); }, json));
  TRY(router.OnWorker(
      Method::kPost, std::string(api::device::kReceiptsPath),
      [&core, &receipts](const Request& request) { return AnswerJson(Receipts(core, receipts, request), request); },
      large));
  TRY(router.OnWorker(Method::kGet, std::string(api::device::kContentPrefix) + "{sha256}",
                      [&core](const Request& request) {
                        Result<Response> answer = Content(core, request);
                        return answer ? *std::move(answer) : Problem(answer.error(), request);
                      }));
  return AddPublicRoutes(router, core, PeerRule::kNone);
}

}  // namespace fleetseal::server
