// FakeSigner: a signer's socket that answers as a test says; each verb is one function that the test may replace.
//
// A scripted double for tests of the server alone: it decides nothing. Header only. Thread rule: On() before the server
// asks, or between its requests; handlers run on connection threads, under one lock.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "api/signing/messages.h"
#include "base/check.h"
#include "sys/socket.h"

namespace fleetseal::server::testing {

class FakeSigner {
 public:
  using Verb = std::function<Result<codec::Json>(const codec::Json& request)>;

  explicit FakeSigner(const std::string& socket_path) {
    sys::LocalServer::Options options;
    options.listen.path = socket_path;
    auto server = sys::LocalServer::Start(
        std::move(options), [this](sys::LocalChannel& channel, const sys::PeerCredentials&) { Serve(channel); });
    CHECK(server.has_value());
    server_ = *std::move(server);
  }

  void On(const std::string& verb, Verb answer) {
    const std::lock_guard lock(mutex_);
    verbs_[verb] = std::move(answer);
  }
  void Refuse(const std::string& verb, ErrorCode code) {
    On(verb, [code](const codec::Json&) -> Result<codec::Json> { return Fail(code, "as the test says"); });
  }
  int calls(const std::string& verb) {
    const std::lock_guard lock(mutex_);
    return calls_[verb];
  }

 private:
  void Serve(sys::LocalChannel& channel) {
    while (true) {
      const auto message = channel.ReceiveMessage();
      if (!message) return;
      if (!channel.SendMessage(Answer(message->text))) return;
    }
  }
  std::string Answer(const std::string& text) {
    const auto request = codec::ParseJson(text, {.bytes_max = limits::kLocalMessageBytesMax});
    CHECK(request.has_value());
    const std::string verb = request->Find("verb")->as_string();
    const std::lock_guard lock(mutex_);
    ++calls_[verb];
    const auto found = verbs_.find(verb);
    if (found == verbs_.end()) return api::signing::BuildError(ErrorCode::kUnsupported, verb);
    Result<codec::Json> answer = found->second(*request);
    if (!answer) return api::signing::BuildError(answer.error().code, answer.error().detail);
    return api::signing::BuildOk(*std::move(answer));
  }

  std::mutex mutex_;
  std::map<std::string, Verb> verbs_;
  std::map<std::string, int> calls_;
  std::unique_ptr<sys::LocalServer> server_;
};

}  // namespace fleetseal::server::testing
