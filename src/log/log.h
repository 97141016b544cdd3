// One structured line per event: JSON with UTC time, process, level, event name and the event's own fields.
//
// Source: house rule "Logs": stable event names, ids not payloads, never a secret; an error is logged once, where it is
// handled. Fields named time, level, process or event are renamed to "field." + name, so a caller cannot forge the
// frame. Thread rule: Event may be called from many threads; Init once, from main(), before other threads start. Until
// then lines go to stderr under the process name "-". This sink is the one process-wide object of the libraries: a log
// line must be possible in every place without wiring.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/result.h"

namespace fleetseal::log {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError };

// Text (any bytes; escaped, cut at kFieldBytesMax) or an integer.
class Value {
 public:
  Value(std::string text) : value_(std::move(text)) {}                 // NOLINT(google-explicit-constructor)
  Value(std::string_view text) : value_(std::string(text)) {}          // NOLINT(google-explicit-constructor)
  Value(const char* text) : value_(std::string(text)) {}               // NOLINT(google-explicit-constructor)
  Value(ErrorCode code) : value_(std::string(ErrorCodeName(code))) {}  // NOLINT(google-explicit-constructor)
  template <typename T>
    requires std::is_integral_v<T>
  Value(T number) : value_(static_cast<int64_t>(number)) {}  // NOLINT(google-explicit-constructor)

  const std::variant<std::string, int64_t>& value() const { return value_; }

 private:
  std::variant<std::string, int64_t> value_;
};

struct Field {
  std::string_view name;
  Value value;
};

inline constexpr size_t kFieldBytesMax = 4096;

struct Options {
  std::string process;         // program name, e.g. "fleetseal-signer"
  Level least = Level::kInfo;  // events below are dropped
  std::string path;            // file to append to, created with mode 0640; empty: stderr
};

// StorageFailed if the file cannot be opened; the sink before stays then.
Status Init(const Options& options);
// "debug", "info", "warning", "error"; InvalidArgument.
Result<Level> ParseLevel(std::string_view name);

// Writes one line and flushes it. Never fails: a line that cannot be written is lost.
void Event(Level level, std::string_view event, std::initializer_list<Field> fields = {});
// Event with fields "code" and "detail" of an error in front of the others.
void ErrorEvent(Level level, std::string_view event, const Error& error, std::initializer_list<Field> fields = {});

}  // namespace fleetseal::log
