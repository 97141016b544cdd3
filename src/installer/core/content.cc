#include <algorithm>
#include <utility>

#include "installer/core/content_receiver.h"
#include "installer/core/machine.h"

namespace fleetseal::installer {

bool Machine::has_all_files() const {
  return std::all_of(state_.journal->steps.begin(), state_.journal->steps.end(),
                     [&](const StepPlan& step) { return received_.contains(step.file_id); });
}

Result<Phase> Machine::OfferContent(const wire::OfferContentRequest& request, const sys::FileDescriptor& pipe) {
  Lock lock(mutex_);
  TRY(CheckSound());
  if (is_streaming_) return Fail(ErrorCode::kBusy, "another content stream is open");
  const Phase phase = state_.phase();
  if (!accepted_ || (phase != Phase::kAccepted && phase != Phase::kReceiving))
    return Fail(ErrorCode::kConflict, "no order wants content now");
  const auto& contents = accepted_->order.order().contents;
  const auto content = std::find_if(contents.begin(), contents.end(), [&](const manifest::OrderContent& item) {
    return item.file_id == request.file_id && item.sealed_sha256 == request.sealed_sha256;
  });
  const auto step = std::find_if(state_.journal->steps.begin(), state_.journal->steps.end(),
                                 [&](const StepPlan& plan) { return plan.file_id == request.file_id; });
  if (content == contents.end() || step == state_.journal->steps.end())
    return Fail(ErrorCode::kFileNotInManifest, "the order wants no such content");
  if (received_.contains(request.file_id)) return Fail(ErrorCode::kConflict, "that file is here already");
  if (phase != Phase::kReceiving) TRY(EnterPhase(Phase::kReceiving));

  is_streaming_ = true;
  is_stream_cancelled_.store(is_stopping_.load());
  // Copies: the order in hand cannot change while it streams, but the compiler and the reader need not know.
  const trust::AcceptedOrder& accepted = *accepted_;
  const bool is_sealed = options_.provisioning.device.delivery == manifest::Delivery::kSealed;
  const ReceiveOptions options{.file = *accepted.manifest->manifest().FindFile(request.file_id.text()),
                               .manifest_sha256 = accepted.manifest->sha256(),
                               .content = *content,
                               .update_key = is_sealed ? &*update_key_ : nullptr,
                               .clock = options_.clock,
                               .idle_ms = options_.config.stream_idle_ms,
                               .is_cancelled = is_stream_cancelled_};
  const StepPlan plan = *std::find_if(state_.journal->steps.begin(), state_.journal->steps.end(),
                                      [&](const StepPlan& item) { return item.file_id == request.file_id; });
  Handler& handler = HandlerOf(plan);
  lock.unlock();
  auto received = ReceiveFile(handler, plan, pipe, options);
  lock.lock();
  is_streaming_ = false;
  std::optional<Error> attempt;
  std::optional<Error> bad;
  if (!received) (received.error().is_content_bad ? bad : attempt) = received.error().error;
  const Status ended = EndStream(request.file_id, attempt, bad);
  changed_.notify_all();
  TRY(ended);
  if (bad) return tl::unexpected(*bad);
  if (attempt) return tl::unexpected(*attempt);
  return state_.phase();
}

Status Machine::EndStream(const FileId& file_id, const std::optional<Error>& attempt, const std::optional<Error>& bad) {
  if (bad) {
    // What was written lies in a slot that is marked bad, or in a side file; the running version was never touched.
    options_.log.Failure("content.refused", *bad);
    return FinishOrder(manifest::Outcome::kRefused, bad->code, bad->detail);
  }
  if (attempt) {
    options_.log.Failure("content.interrupted", *attempt);
    return EnterPhase(Phase::kAccepted);
  }
  received_.insert(file_id);
  options_.log.Event("content.verified", {{"file", file_id.text()}});
  if (!has_all_files()) return {};
  // A phase that could not be stored leaves the file wanted: with nothing wanted, nothing would ever go on.
  auto entered = EnterPhase(Phase::kInstalled);
  if (!entered) received_.erase(file_id);
  return entered;
}

}  // namespace fleetseal::installer
