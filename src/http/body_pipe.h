// BodyPipe: the bounded buffer between a connection and the worker that reads an upload.
//
// Back-pressure: once the connection found no room, it reads nothing more until the reader made half of the buffer
// free. Thread rule: Feed, RoomOrWait and Fail by the connection's thread; Read by one worker; the lock guards all
// fields and is never held over I/O or the callback.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "http/body_reader.h"

namespace fleetseal::http {

class BodyPipe final : public BodyReader {
 public:
  // `on_room` is called by the reader's thread after RoomOrWait answered 0 and there is room again; `on_wanted`, if not
  // empty, before its first wait for bytes.
  BodyPipe(uint64_t size, size_t capacity, std::function<void()> on_room, std::function<void()> on_wanted = {});

  uint64_t size() const override { return size_; }
  Result<size_t> Read(std::span<uint8_t> buffer) override;

  // Bytes that Feed takes now; 0: on_room will be called.
  size_t RoomOrWait();
  // REQUIRES: bytes.size() <= the room last answered.
  void Feed(std::string_view bytes);
  // What the reader gets once it has read what is there. The first failure stays.
  void Fail(Error error);

 private:
  const uint64_t size_;
  const size_t capacity_;
  const std::function<void()> on_room_;
  std::function<void()> on_wanted_;  // the reader's thread alone

  std::mutex mutex_;
  std::condition_variable readable_;
  std::vector<char> ring_;  // allocated with the first byte
  size_t start_ = 0;
  size_t filled_ = 0;
  uint64_t read_ = 0;  // handed to the reader so far
  bool is_waiting_for_room_ = false;
  std::optional<Error> fault_;
};

}  // namespace fleetseal::http
