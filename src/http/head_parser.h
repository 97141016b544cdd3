// HeadParser: request line and header fields of one HTTP/1.1 request after the other, into a Request.
//
// Source: RFC 9112. The grammar is Boost.Beast's basic_parser (head_parser.cc is the one translation unit with Beast);
// on top of it everything that two readers could understand differently is refused: Transfer-Encoding, a second or
// listed Content-Length, repeated single-value fields, HTTP/1.0, targets that ParseTarget refuses.
// Thread rule: one owner thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace fleetseal::http {

class HeadParser {
 public:
  explicit HeadParser(size_t header_bytes_max);
  ~HeadParser();
  HeadParser(const HeadParser&) = delete;
  HeadParser& operator=(const HeadParser&) = delete;

  // Starts over; the next head goes into `request`, which must stay where it is until the head is done.
  void Begin(Request& request);

  struct Progress {
    size_t consumed = 0;  // bytes to drop from the input, also if the head is not done
    bool is_done = false;
  };
  // Reads on. Bytes that were not consumed must come again, with more behind them.
  // InvalidArgument, LimitExceeded (header too large: 431), Unsupported (Transfer-Encoding: 501).
  Result<Progress> Feed(std::string_view input);

  // Once the head is done.
  bool keeps_alive() const;
  bool expects_continue() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::http
