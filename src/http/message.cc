#include "http/message.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "api/problem/problem.h"

namespace fleetseal::http {

std::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kHead:
      return "HEAD";
    case Method::kPost:
      return "POST";
    case Method::kPut:
      return "PUT";
    case Method::kPatch:
      return "PATCH";
    case Method::kDelete:
      return "DELETE";
    case Method::kOther:
      return "OTHER";
  }
  return "OTHER";
}

const std::string* Headers::Find(std::string_view name) const {
  for (const auto& [field_name, value] : fields_) {
    if (field_name == name) return &value;
  }
  return nullptr;
}

void Headers::AddToList(std::string name, std::string_view value) {
  for (auto& [field_name, field_value] : fields_) {
    if (field_name != name) continue;
    field_value += ", ";
    field_value += value;
    return;
  }
  Add(std::move(name), std::string(value));
}

namespace {

std::string_view LookUp(const QueryMap& map, std::string_view name) {
  const auto found = map.find(name);
  return found == map.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

std::string_view Request::Param(std::string_view name) const { return LookUp(params, name); }
std::string_view Request::Query(std::string_view name) const { return LookUp(query, name); }

Result<std::shared_ptr<const OpenedFile>> OpenedFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    return Fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kStorageFailed,
                "cannot open a file to send, errno " + std::to_string(errno));
  }
  return Adopt(fd);
}

Result<std::shared_ptr<const OpenedFile>> OpenedFile::Adopt(int fd) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Fail(ErrorCode::kStorageFailed, "a file to send is not a regular file");
  }
  return std::shared_ptr<const OpenedFile>(new OpenedFile(fd, static_cast<uint64_t>(info.st_size)));
}

OpenedFile::~OpenedFile() { ::close(fd_); }

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    Responder dropped(std::move(sink_));
    sink_ = std::move(other.sink_);
  }
  return *this;
}

Responder::~Responder() {
  if (sink_) Send(ProblemResponse(ErrorCode::kInternal, ""));
}

void Responder::Send(Response response) {
  if (!sink_) return;
  const std::unique_ptr<ResponseSink> sink = std::move(sink_);
  sink->Send(std::move(response));
}

Response JsonResponse(int status, std::string json_text) {
  Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(json_text);
  return response;
}

Response SharedResponse(int status, std::string content_type, std::shared_ptr<const std::string> body) {
  Response response;
  response.status = status;
  response.content_type = std::move(content_type);
  response.body = std::move(body);
  return response;
}

Response EmptyResponse(int status) {
  Response response;
  response.status = status;
  return response;
}

Response FileResponse(std::string content_type, FileBody file) {
  Response response;
  response.content_type = std::move(content_type);
  response.body = std::move(file);
  return response;
}

Response ParkedResponse(Parked parked) {
  Response response;
  response.body = std::move(parked);
  return response;
}

Response ProblemResponse(ErrorCode code, std::string_view request_id, const std::optional<std::string>& safe_detail,
                         std::optional<int> http_status) {
  Response response;
  response.status = http_status.value_or(InfoOf(code).http_status);
  response.content_type = api::kProblemContentType;
  response.body = api::BuildProblem(code, request_id, safe_detail, http_status).Serialize();
  return response;
}

Response RefusalResponse(const Refusal& refusal, std::string_view request_id) {
  return ProblemResponse(refusal.code, request_id, refusal.detail);
}

Response ErrorResponse(const Error& error, std::string_view request_id) {
  return ProblemResponse(error.code, request_id);
}

}  // namespace fleetseal::http
