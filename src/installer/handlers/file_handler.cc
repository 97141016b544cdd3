#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "installer/handlers/handler.h"
#include "sys/errors.h"

namespace fleetseal::installer {
namespace {

// An id has no path character; a leading dot is for our own side files.
bool IsTargetName(std::string_view name) { return IsIdText(name) && !name.starts_with('.'); }

}  // namespace

Result<std::unique_ptr<FileHandler>> FileHandler::Open(std::string prefix) {
  TRY(sys::MakeDirectories(prefix, 0755));
  TRY_ASSIGN(std::string real, sys::RealPath(prefix));
  return std::unique_ptr<FileHandler>(new FileHandler(std::move(real)));
}

Verdict<StepPlan> FileHandler::Plan(const manifest::UpdateStep& step, const manifest::UpdateManifest& manifest) const {
  const auto property = step.properties.find("target");
  if (step.files.size() != 1 || step.properties.size() != 1 || property == step.properties.end())
    return Refuse(ErrorCode::kHandlerFailed, "a file step has one file and the property \"target\" only");
  if (!IsTargetName(property->second))
    return Refuse(ErrorCode::kHandlerFailed, "the step's target is not a plain file name");
  const manifest::UpdateFile* file = manifest.FindFile(step.files.front().text());
  if (file == nullptr) return Refuse(ErrorCode::kHandlerFailed, "the step's file is not in the manifest");
  StepPlan plan{.handler = step.handler, .file_id = file->id, .target = property->second};
  if (sys::DirectoryExists(Final(plan)))
    return Refuse(ErrorCode::kHandlerFailed, "the step's target is a directory on this device");
  TRY_ASSIGN(const ByteCount free, sys::FreeBytes(prefix_));
  if (file->size.value > free.value) return Refuse(ErrorCode::kNoSpace, "too little space for " + plan.target);
  plan.had_previous = sys::FileExists(Final(plan));
  return plan;
}

Result<Target> FileHandler::OpenTarget(const StepPlan& plan) {
  if (!IsTargetName(plan.target)) return Fail(ErrorCode::kCorrupt, "the journal's target is not a plain file name");
  TRY(sys::RemoveFile(New(plan)));
  // One left behind by a crash after an earlier commit must not be what a roll-back brings back.
  TRY(sys::RemoveFile(Old(plan)));
  TRY_ASSIGN(sys::FileDescriptor file, sys::OpenFile(New(plan), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  // Whatever the umask: others read what is installed.
  if (fchmod(file.get(), 0644) != 0) return sys::FailErrno("chmod", New(plan), errno);
  // The bytes are made durable when they are whole; the name must be by then, or a power cut loses the file.
  TRY(sys::FsyncDirectory(prefix_));
  return Target{.file = std::move(file), .path = New(plan)};
}

Status FileHandler::Discard(const StepPlan& plan) { return sys::RemoveFile(New(plan)); }

Status FileHandler::Switch(const StepPlan& plan) {
  if (!sys::FileExists(New(plan))) {
    // Repeated after a crash, the new file is in place already and the old one is kept already.
    const bool is_done = sys::FileExists(plan.had_previous ? Old(plan) : Final(plan));
    if (is_done) return {};
    return Fail(ErrorCode::kCorrupt, "the verified file for " + plan.target + " is gone");
  }
  if (plan.had_previous && !sys::FileExists(Old(plan))) {
    // A hard link: the name in use never points nowhere.
    if (link(Final(plan).c_str(), Old(plan).c_str()) != 0) return sys::FailErrno("keep", Final(plan), errno);
    TRY(sys::FsyncDirectory(prefix_));
  }
  return sys::RenameDurably(New(plan), Final(plan));
}

Status FileHandler::Confirm(const StepPlan&) { return {}; }

Status FileHandler::Clean(const StepPlan& plan) { return sys::RemoveFile(Old(plan)); }

Status FileHandler::RollBack(const StepPlan& plan) {
  TRY(sys::RemoveFile(New(plan)));
  if (!plan.had_previous) return sys::RemoveFile(Final(plan));
  if (!sys::FileExists(Old(plan))) return {};
  TRY(sys::RenameDurably(Old(plan), Final(plan)));
  // rename() does nothing when both names are one file (a crash just after the link).
  return sys::RemoveFile(Old(plan));
}

std::string FileHandler::HealthPath(const StepPlan&) const { return prefix_; }

}  // namespace fleetseal::installer
