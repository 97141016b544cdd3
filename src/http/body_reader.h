// BodyReader: what a streaming handler reads an upload from, on its worker thread.
//
// The connection feeds it through a bounded buffer: a slow handler slows the peer down, memory stays bounded whatever
// the declared length. Source: design section 7 (content streams through the server into the sealer).
// Thread rule: one reading thread; the connection feeds from its own.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"

namespace fleetseal::http {

class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The declared Content-Length.
  virtual uint64_t size() const = 0;
  // Blocks until at least one byte is there. 0 only after the whole declared length was read (or for an empty buffer).
  // Truncated if the peer left early, TimedOut if it sent nothing for the idle timeout, Cancelled if the server stops.
  virtual Result<size_t> Read(std::span<uint8_t> buffer) = 0;
};

}  // namespace fleetseal::http
