#include "http/body_pipe.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace fleetseal::http {

BodyPipe::BodyPipe(uint64_t size, size_t capacity, std::function<void()> on_room, std::function<void()> on_wanted)
    : size_(size),
      capacity_(static_cast<size_t>(std::min<uint64_t>(size, capacity))),
      on_room_(std::move(on_room)),
      on_wanted_(std::move(on_wanted)) {}

Result<size_t> BodyPipe::Read(std::span<uint8_t> buffer) {
  if (const auto on_wanted = std::exchange(on_wanted_, nullptr)) on_wanted();
  size_t count = 0;
  bool has_made_room = false;
  {
    std::unique_lock lock(mutex_);
    if (read_ == size_ || buffer.empty()) return size_t{0};
    readable_.wait(lock, [this] { return filled_ > 0 || fault_.has_value(); });
    if (filled_ == 0) return tl::unexpected(*fault_);
    count = std::min(filled_, buffer.size());
    const size_t before_wrap = std::min(count, capacity_ - start_);
    std::memcpy(buffer.data(), ring_.data() + start_, before_wrap);
    std::memcpy(buffer.data() + before_wrap, ring_.data(), count - before_wrap);
    start_ = (start_ + count) % capacity_;
    filled_ -= count;
    read_ += count;
    if (is_waiting_for_room_ && filled_ <= capacity_ / 2) {
      is_waiting_for_room_ = false;
      has_made_room = true;
    }
  }
  if (has_made_room) on_room_();
  return count;
}

size_t BodyPipe::RoomOrWait() {
  const std::lock_guard lock(mutex_);
  const size_t room = capacity_ - filled_;
  if (room == 0) is_waiting_for_room_ = true;
  return room;
}

void BodyPipe::Feed(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  CHECK(bytes.size() <= capacity_ - filled_);
  if (bytes.empty()) return;
  if (ring_.empty()) ring_.resize(capacity_);
  const size_t end = (start_ + filled_) % capacity_;
  const size_t before_wrap = std::min(bytes.size(), capacity_ - end);
  std::memcpy(ring_.data() + end, bytes.data(), before_wrap);
  std::memcpy(ring_.data(), bytes.data() + before_wrap, bytes.size() - before_wrap);
  filled_ += bytes.size();
  readable_.notify_one();
}

void BodyPipe::Fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (!fault_) fault_ = std::move(error);
  readable_.notify_one();
}

}  // namespace fleetseal::http
