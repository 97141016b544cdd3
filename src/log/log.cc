#include "log/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <ctime>
#include <memory>
#include <mutex>

#include "sys/file.h"

namespace fleetseal::log {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};
constexpr mode_t kFileMode = 0640;

struct Sink {
  std::shared_ptr<spdlog::logger> logger;
  std::string process = "-";
  Level least = Level::kInfo;
};

std::shared_ptr<spdlog::logger> MakeLogger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("fleetseal", std::move(sink));
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  logger->set_error_handler([](const std::string&) {});  // a full disk must not fill stderr
  return logger;
}

// Never destroyed: threads may still log while the process ends.
struct Shared {
  std::mutex mutex;
  Sink sink{MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>())};
};
Shared& TheSink() {
  static auto* const shared = new Shared;
  return *shared;
}
Sink CurrentSink() {
  Shared& shared = TheSink();
  const std::lock_guard lock(shared.mutex);
  return shared.sink;
}

void AppendQuoted(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text.substr(0, kFieldBytesMax)) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      // Bytes outside ASCII are shown one by one: a log line must be plain whatever a peer sent.
      line += fmt::format("\\u{:04x}", byte);
    } else {
      line += c;
    }
  }
  line += '"';
}

std::string UtcNow() {
  const auto now = std::chrono::system_clock::now();
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const auto seconds = static_cast<time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

void AppendField(std::string& line, std::string_view name, const Value& value) {
  const bool is_reserved = name == "time" || name == "level" || name == "process" || name == "event";
  line += ',';
  AppendQuoted(line, is_reserved ? "field." + std::string(name) : std::string(name));
  line += ':';
  if (const auto* number = std::get_if<int64_t>(&value.value())) {
    line += std::to_string(*number);
  } else {
    AppendQuoted(line, std::get<std::string>(value.value()));
  }
}

std::string FirstPart(const Sink& sink, Level level, std::string_view event) {
  std::string line = "{\"time\":\"" + UtcNow() + "\",\"level\":\"";
  line += kLevelNames[static_cast<size_t>(level)];
  line += "\",\"process\":";
  AppendQuoted(line, sink.process);
  line += ",\"event\":";
  AppendQuoted(line, event);
  return line;
}

void Write(const Sink& sink, std::string line) {
  line += '}';
  // A logger without exceptions still may run out of memory: a lost line is better than a lost process.
  try {
    sink.logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  } catch (const std::exception&) {
  }
}

}  // namespace

Result<Level> ParseLevel(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (name == kLevelNames[i]) return static_cast<Level>(i);
  }
  return Fail(ErrorCode::kInvalidArgument, "log level is not debug, info, warning or error");
}

Status Init(const Options& options) {
  spdlog::sink_ptr sink;
  if (options.path.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    // Made here, since the library would take the umask's rights.
    TRY_CONTEXT(sys::OpenFile(options.path, O_WRONLY | O_CREAT | O_APPEND, kFileMode), "opening the log file");
    try {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.path);
    } catch (const std::exception& error) {
      return Fail(ErrorCode::kStorageFailed, std::string("log file: ") + error.what());
    }
  }
  Shared& shared = TheSink();
  const std::lock_guard lock(shared.mutex);
  shared.sink = {MakeLogger(std::move(sink)), options.process, options.least};
  return {};
}

void Event(Level level, std::string_view event, std::initializer_list<Field> fields) {
  const Sink sink = CurrentSink();
  if (level < sink.least) return;
  std::string line = FirstPart(sink, level, event);
  for (const Field& field : fields) AppendField(line, field.name, field.value);
  Write(sink, std::move(line));
}

void ErrorEvent(Level level, std::string_view event, const Error& error, std::initializer_list<Field> fields) {
  const Sink sink = CurrentSink();
  if (level < sink.least) return;
  std::string line = FirstPart(sink, level, event);
  AppendField(line, "code", error.code);
  AppendField(line, "detail", error.where.empty() ? error.detail : error.where + ": " + error.detail);
  for (const Field& field : fields) AppendField(line, field.name, field.value);
  Write(sink, std::move(line));
}

}  // namespace fleetseal::log
