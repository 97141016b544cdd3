#include "config/findings/findings.h"

#include <sys/statvfs.h>

#include <unistd.h>

#include "sys/file.h"

namespace fleetseal::config {

void Findings::Problem(std::string where, std::string what, std::string advice) {
  findings_.push_back({"problem", std::move(where), std::move(what), std::move(advice)});
}

void Findings::Warning(std::string where, std::string what, std::string advice) {
  findings_.push_back({"warning", std::move(where), std::move(what), std::move(advice)});
}

void Findings::Failed(std::string where, const Error& error) {
  // The general advice of this code speaks of ids; what is looked at here are files.
  const bool is_away = error.code == ErrorCode::kNotFound;
  Problem(std::move(where), error.ToString(),
          is_away ? "bring it back from a backup" : std::string(InfoOf(error.code).advice));
}

void Findings::EndsAt(const std::string& where, UnixSeconds not_after, UnixSeconds now, const std::string& advice) {
  expiries_.push_back({where, not_after, advice});
  if (not_after.value <= now.value) return Problem(where, "has ended", advice);
  if (not_after.value - now.value > kEndsSoonSeconds) return;
  Warning(where, "ends in " + std::to_string((not_after.value - now.value) / 86'400) + " days", advice);
}

void Findings::Writable(const std::string& directory) {
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0)
    Problem(directory, "the file system is read-only", "find out why (dmesg), then mount it for writing");
}

void Findings::FreeSpace(const std::string& directory) {
  Writable(directory);
  const auto free = sys::FreeBytes(directory);
  if (!free) return Failed(directory, free.error());
  disks_.emplace_back(directory, free->value);
  if (free->value < kFreeBytesMin)
    Problem(directory, std::to_string(free->value / (1024 * 1024)) + " MiB are free", "free space on this file system");
}

void Findings::PrivateFile(const std::string& path) {
  const auto read = sys::ReadSecretFile(path, 1024 * 1024);
  if (!read) Failed(path, read.error());
}

codec::Json Findings::ToJson() const {
  codec::Json list = codec::Json::MakeArray();
  for (const Finding& finding : findings_) {
    list.Push(codec::Json::MakeObject()
                  .Set("level", finding.level)
                  .Set("where", finding.where)
                  .Set("what", finding.what)
                  .Set("advice", finding.advice));
  }
  codec::Json checked = codec::Json::MakeArray();
  for (const auto& one : checked_) checked.Push(one);
  codec::Json expiries = codec::Json::MakeArray();
  for (const Expiry& one : expiries_)
    expiries.Push(codec::Json::MakeObject().Set("what", one.what).Set("ends", one.ends.value).Set("renew", one.renew));
  codec::Json disks = codec::Json::MakeArray();
  for (const auto& [directory, free] : disks_)
    disks.Push(codec::Json::MakeObject().Set("directory", directory).Set("freeBytes", static_cast<int64_t>(free)));
  codec::Json facts = codec::Json::MakeObject();
  for (const auto& [name, values] : facts_) {
    codec::Json texts = codec::Json::MakeArray();
    for (const auto& value : values) texts.Push(value);
    facts.Set(name, std::move(texts));
  }
  codec::Json json = codec::Json::MakeObject().Set("findings", std::move(list)).Set("checked", std::move(checked));
  return json.Set("expiries", std::move(expiries)).Set("disks", std::move(disks)).Set("facts", std::move(facts));
}

Status PrintFindings(const Findings& findings) {
  return sys::WriteAll(STDOUT_FILENO, AsBytes(findings.ToJson().Serialize() + "\n"));
}

}  // namespace fleetseal::config
