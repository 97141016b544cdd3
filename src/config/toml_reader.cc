#include "config/toml_reader.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <unordered_set>

#include <toml++/toml.h>

#include "base/check.h"
#include "sys/file.h"
#include "sys/permissions.h"

namespace fleetseal::config {
namespace {

// A configuration file is written by people; the largest we ship has 4 KiB.
constexpr size_t kConfigBytesMax = 256 * 1024;

// Absolute: a path that was resolved once, as a default made of another key, must not be resolved a second time.
std::string FolderOf(const std::string& file) {
  const std::string folder = sys::ParentDirectory(file);
  if (folder.starts_with('/')) return folder;
  std::error_code failed;
  const auto here = std::filesystem::current_path(failed);
  if (failed || here.empty()) return folder;
  return folder == "." ? here.string() : sys::JoinPath(here.string(), folder);
}

const toml::table* AsTable(const void* table) { return static_cast<const toml::table*>(table); }

std::string LineText(const toml::source_region& source) { return std::to_string(source.begin.line); }

// https://host[:port][/...], without user names and white space.
bool IsHttpsUrl(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  if (!text.starts_with(kScheme)) return false;
  const std::string_view rest = text.substr(kScheme.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
  return is_plain && !authority.empty() && authority[0] != ':' && authority.find('@') == std::string_view::npos;
}

}  // namespace

class TomlFile::Impl {
 public:
  std::string path;
  toml::table table;
  std::unordered_set<const toml::node*> asked;
  Status status;

  void Stop(const toml::source_region& source, std::string_view what) {
    if (!status) return;
    status = Fail(ErrorCode::kConfigInvalid, path + ":" + LineText(source) + ": " + std::string(what));
  }

  // The unasked key on the lowest line, in `table` and in what is below its asked keys.
  void FindUnasked(const toml::table& in, const std::string& name, const toml::node** first, std::string* first_name) {
    for (const auto& [key, node] : in) {
      const std::string full = name.empty() ? std::string(key.str()) : name + "." + std::string(key.str());
      if (!asked.contains(&node)) {
        if (*first == nullptr || node.source().begin.line < (*first)->source().begin.line) {
          *first = &node;
          *first_name = full;
        }
        continue;
      }
      if (const toml::table* below = node.as_table()) FindUnasked(*below, full, first, first_name);
      if (const toml::array* array = node.as_array()) {
        for (const toml::node& element : *array) {
          if (const toml::table* below = element.as_table()) FindUnasked(*below, full, first, first_name);
        }
      }
    }
  }
};

TomlFile::TomlFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TomlFile::~TomlFile() = default;
const std::string& TomlFile::path() const { return impl_->path; }
TomlReader TomlFile::root() { return TomlReader(impl_.get(), &impl_->table, ""); }

Result<std::unique_ptr<TomlFile>> TomlFile::Load(const std::string& path) {
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(path, kConfigBytesMax));
  // Whoever can write it decides whom the program believes.
  TRY(sys::RequireOwn(path, sys::Reach::kNobodyElseWrites));
  return Parse(text, path);
}

namespace {

// The library takes much for granted that a release build does not check (found by fuzzing: the name after a table's
// bracket, letters beyond ASCII, dates). So it gets only what our files are made of: each line is a table's header or
// `key = value`; a value is a text of one line, true, false, an integer, or an array or table of these on that line.
class PlainLine {
 public:
  // Texts become one quote, comments nothing.
  explicit PlainLine(std::string_view line) {
    char quote = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      const char letter = line[i];
      if (quote == 0 && letter == '#') break;
      if (quote == '"' && letter == '\\') {
        ++i;
      } else if (quote != 0) {
        if (letter == quote) quote = 0;
      } else if (letter == '"' || letter == '\'') {
        if (outside_.ends_with('"')) is_doubled_ = true;
        quote = letter;
        outside_ += '"';
      } else {
        outside_ += letter == '\t' || letter == '\r' ? ' ' : letter;
      }
    }
    is_open_ = quote != 0;
    outside_.erase(0, std::min(outside_.find_first_not_of(' '), outside_.size()));
  }

  // What is wrong with it, or nothing.
  std::string_view Fault() const {
    if (is_open_ || is_doubled_) return "a text is of one line";
    const std::string_view line = outside_;
    if (line.empty()) return {};
    if (line.starts_with('[')) {
      const size_t name = line.find_first_not_of("[ ");
      const bool is_header = name != line.npos && IsKeyLetter(line[name]) && AreOf(line, "[]. ");
      return is_header ? std::string_view() : "a table's name is letters, digits, - and _";
    }
    const size_t equals = line.find('=');
    if (equals == line.npos || !AreOf(line.substr(0, equals), ". ")) return "not `key = value`";
    return FaultOfValue(line.substr(equals + 1));
  }

 private:
  static bool IsKeyLetter(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '_' || letter == '-' || letter == '"';
  }
  static bool AreOf(std::string_view text, std::string_view more) {
    return std::ranges::all_of(text,
                               [&](char letter) { return IsKeyLetter(letter) || more.find(letter) != more.npos; });
  }
  static bool IsScalar(std::string_view token) {
    if (token == "\"" || token == "true" || token == "false") return true;
    if (token.starts_with('-') || token.starts_with('+')) token.remove_prefix(1);
    return !token.empty() && std::ranges::all_of(token, [](char c) { return (c >= '0' && c <= '9') || c == '_'; });
  }
  static std::string_view FaultOfValue(std::string_view value) {
    constexpr std::string_view kMarks = " [],{}=";
    const auto count = [&](char letter) { return std::ranges::count(value, letter); };
    if (count('[') != count(']') || count('{') != count('}')) return "an array or a table stands on one line";
    while (!value.empty()) {
      const size_t begin = std::min(value.find_first_not_of(kMarks), value.size());
      value.remove_prefix(begin);
      const std::string_view token = value.substr(0, std::min(value.find_first_of(kMarks), value.size()));
      value.remove_prefix(token.size());
      const size_t next = value.find_first_not_of(' ');
      const bool is_key = next != value.npos && value[next] == '=';
      if (!token.empty() && !(is_key ? AreOf(token, ".") : IsScalar(token)))
        return "a value is a text, true, false, an integer, or an array of these";
    }
    return {};
  }

  std::string outside_;
  bool is_open_ = false;
  bool is_doubled_ = false;  // three quotes, or two texts side by side
};

Status CheckPlain(std::string_view text, const std::string& path) {
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (const std::string_view fault = PlainLine(text.substr(0, end)).Fault(); !fault.empty())
      return Fail(ErrorCode::kConfigInvalid, path + ":" + std::to_string(number) + ": " + std::string(fault));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<TomlFile>> TomlFile::Parse(std::string_view text, const std::string& path) {
  TRY(CheckPlain(text, path));
  toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return Fail(ErrorCode::kConfigInvalid,
                path + ":" + LineText(parsed.error().source()) + ": " + std::string(parsed.error().description()));
  }
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->table = std::move(parsed).table();
  return std::unique_ptr<TomlFile>(new TomlFile(std::move(impl)));
}

TomlReader::TomlReader(TomlFile::Impl* file, const void* table, std::string name)
    : file_(file), table_(table), name_(std::move(name)) {}

bool TomlReader::Has(std::string_view key) const { return table_ != nullptr && AsTable(table_)->contains(key); }

bool TomlReader::is_good() const { return file_->status.has_value(); }

void TomlReader::Stop(std::string_view key, std::string_view detail) {
  const std::string full = name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  const toml::node* node = table_ == nullptr ? nullptr : AsTable(table_)->get(key);
  if (node == nullptr && table_ != nullptr) node = AsTable(table_);
  file_->Stop(node == nullptr ? toml::source_region{} : node->source(), full + ": " + std::string(detail));
}

const void* TomlReader::Get(std::string_view key, bool is_required) {
  if (!is_good() || table_ == nullptr) return nullptr;
  const toml::node* node = AsTable(table_)->get(key);
  if (node != nullptr) file_->asked.insert(node);
  if (node == nullptr && is_required) Stop(key, "is missing");
  return node;
}

std::string TomlReader::String(std::string_view key) {
  const auto* node = static_cast<const toml::node*>(Get(key, true));
  if (node == nullptr) return {};
  if (const auto* text = node->as_string()) return text->get();
  Stop(key, "is not a string");
  return {};
}

std::optional<std::string> TomlReader::OptionalString(std::string_view key) {
  if (!Has(key)) return std::nullopt;
  return String(key);
}

std::string TomlReader::StringOr(std::string_view key, std::string_view fallback) {
  return Has(key) ? String(key) : std::string(fallback);
}

int64_t TomlReader::Integer(std::string_view key, int64_t least, int64_t greatest) {
  const auto* node = static_cast<const toml::node*>(Get(key, true));
  if (node == nullptr) return 0;
  const auto* value = node->as_integer();
  if (value == nullptr) {
    Stop(key, "is not an integer");
    return 0;
  }
  if (value->get() < least || value->get() > greatest) {
    Stop(key, "is not within " + std::to_string(least) + " to " + std::to_string(greatest));
    return 0;
  }
  return value->get();
}

int64_t TomlReader::IntegerOr(std::string_view key, int64_t fallback, int64_t least, int64_t greatest) {
  return Has(key) ? Integer(key, least, greatest) : fallback;
}

std::optional<int64_t> TomlReader::OptionalInteger(std::string_view key, int64_t least, int64_t greatest) {
  if (!Has(key)) return std::nullopt;
  return Integer(key, least, greatest);
}

bool TomlReader::Bool(std::string_view key) {
  const auto* node = static_cast<const toml::node*>(Get(key, true));
  if (node == nullptr) return false;
  if (const auto* value = node->as_boolean()) return value->get();
  Stop(key, "is not true or false");
  return false;
}

bool TomlReader::BoolOr(std::string_view key, bool fallback) { return Has(key) ? Bool(key) : fallback; }

std::vector<std::string> TomlReader::Strings(std::string_view key) {
  const auto* node = static_cast<const toml::node*>(Get(key, true));
  if (node == nullptr) return {};
  const auto* array = node->as_array();
  if (array == nullptr) {
    Stop(key, "is not an array of strings");
    return {};
  }
  std::vector<std::string> texts;
  for (const toml::node& element : *array) {
    const auto* text = element.as_string();
    if (text == nullptr) {
      Stop(key, "is not an array of strings");
      return {};
    }
    texts.push_back(text->get());
  }
  return texts;
}

std::vector<std::string> TomlReader::OptionalStrings(std::string_view key) {
  return Has(key) ? Strings(key) : std::vector<std::string>{};
}

std::string TomlReader::Path(std::string_view key) {
  const std::string text = String(key);
  if (!is_good()) return {};
  if (text.empty()) {
    Stop(key, "is an empty path");
    return {};
  }
  return sys::ResolvePath(FolderOf(file_->path), text);
}

std::optional<std::string> TomlReader::OptionalPath(std::string_view key) {
  if (!Has(key)) return std::nullopt;
  return Path(key);
}

std::string TomlReader::PathOr(std::string_view key, std::string_view fallback) {
  return Has(key) ? Path(key) : sys::ResolvePath(FolderOf(file_->path), fallback);
}

std::string TomlReader::HttpsUrl(std::string_view key) {
  std::string text = String(key);
  if (!is_good()) return {};
  if (!IsHttpsUrl(text)) {
    Stop(key, "is not an https:// address");
    return {};
  }
  return text;
}

std::optional<std::string> TomlReader::OptionalHttpsUrl(std::string_view key) {
  if (!Has(key)) return std::nullopt;
  return HttpsUrl(key);
}

TomlReader TomlReader::Table(std::string_view key) {
  const std::string full = name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  const auto* node = static_cast<const toml::node*>(Get(key, true));
  const toml::table* table = node == nullptr ? nullptr : node->as_table();
  if (node != nullptr && table == nullptr) Stop(key, "is not a table");
  return TomlReader(file_, table, full);
}

std::optional<TomlReader> TomlReader::OptionalTable(std::string_view key) {
  if (!Has(key)) return std::nullopt;
  return Table(key);
}

std::vector<TomlReader> TomlReader::Tables(std::string_view key) {
  const auto* node = static_cast<const toml::node*>(Get(key, false));
  if (node == nullptr) return {};
  const std::string full = name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  std::vector<TomlReader> readers;
  const toml::array* array = node->as_array();
  for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const toml::table* table = array->get(i)->as_table();
    if (table == nullptr) break;
    readers.push_back(TomlReader(file_, table, full));
  }
  if (array == nullptr || readers.size() != array->size()) {
    Stop(key, "is not a list of [[" + full + "]] tables");
    return {};
  }
  return readers;
}

std::vector<std::string> TomlReader::Keys() const {
  std::vector<std::string> keys;
  if (table_ == nullptr) return keys;
  for (const auto& [key, node] : *AsTable(table_)) keys.emplace_back(key.str());
  std::sort(keys.begin(), keys.end());
  return keys;
}

Status TomlReader::Finish() {
  if (table_ != nullptr && is_good()) {
    const toml::node* first = nullptr;
    std::string first_name;
    file_->FindUnasked(*AsTable(table_), name_, &first, &first_name);
    if (first != nullptr) file_->Stop(first->source(), first_name + ": is not a known key");
  }
  return file_->status;
}

}  // namespace fleetseal::config
