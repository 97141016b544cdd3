// The bytes of a response's status line and header fields.
//
// Source: RFC 9112 section 4, RFC 9110 section 8.6 (no Content-Length in 204). Handlers' fields are checked: one that
// holds a control character would let its author write a second response.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/message.h"

namespace fleetseal::http {

struct HeadFacts {
  int status = 200;
  uint64_t content_length = 0;
  std::string_view date;  // IMF-fixdate
  std::string_view request_id;
  bool closes = false;
};

// False if status, media type or a field cannot be sent as they are.
bool IsSendable(const Response& response);
// REQUIRES: IsSendable(response).
void AppendHead(std::string& out, const Response& response, const HeadFacts& facts);
// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string HttpDate(UnixSeconds time);

}  // namespace fleetseal::http
