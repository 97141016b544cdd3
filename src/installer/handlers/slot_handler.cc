#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "installer/handlers/handler.h"
#include "sys/errors.h"

namespace fleetseal::installer {
namespace {

// O_NOFOLLOW: a link in place of a slot would send the image elsewhere.
Result<Target> OpenSlot(const std::string& path, int flags) {
  TRY_ASSIGN(sys::FileDescriptor file, sys::OpenFile(path, O_NOFOLLOW | flags, 0600));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return sys::FailErrno("stat", path, errno);
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
    return Fail(ErrorCode::kConfigInvalid, path + " is neither a regular file nor a block device");
  return Target{.file = std::move(file), .path = path, .is_block_device = S_ISBLK(info.st_mode)};
}

}  // namespace

Status Handler::Seal(Target target, ByteCount size) {
  if (!target.is_block_device && ftruncate(target.file.get(), static_cast<off_t>(size.value)) != 0)
    return sys::FailErrno("truncate", target.path, errno);
  return sys::FsyncFile(target.file.get());
}

Result<std::unique_ptr<SlotHandler>> SlotHandler::Open(Options options, BootControl& boot) {
  for (const std::string& path : {options.a, options.b}) {
    TRY_ASSIGN_CONTEXT(const Target target, OpenSlot(path, O_RDWR | O_CREAT), "slot");
    if (!target.is_block_device && options.bytes_max == 0)
      return Fail(ErrorCode::kConfigInvalid, "slots.bytesMax is needed: " + path + " is a regular file");
  }
  return std::unique_ptr<SlotHandler>(new SlotHandler(std::move(options), boot));
}

Verdict<StepPlan> SlotHandler::Plan(const manifest::UpdateStep& step, const manifest::UpdateManifest& manifest) const {
  if (step.files.size() != 1 || !step.properties.empty())
    return Refuse(ErrorCode::kHandlerFailed, "a slot step has one file and no properties");
  if (manifest.component != manifest::kComponentDefault)
    return Refuse(ErrorCode::kHandlerFailed, "the slots hold the component main, not " + manifest.component);
  const manifest::UpdateFile* file = manifest.FindFile(step.files.front().text());
  if (file == nullptr) return Refuse(ErrorCode::kHandlerFailed, "the step's file is not in the manifest");
  TRY_ASSIGN(const Slot active, boot_.Active());
  const Slot idle = OtherSlot(active);
  // To be read: a slot that cannot be written now delays the order, while what fails here refuses it for good.
  TRY_ASSIGN(const Target target, OpenSlot(PathOf(idle), O_RDONLY));
  uint64_t size_max = options_.bytes_max;
  if (target.is_block_device) {
    TRY_ASSIGN(const ByteCount device_size, sys::SizeOf(target.file.get()));
    size_max = device_size.value;
  }
  if (file->size.value > size_max)
    return Refuse(ErrorCode::kNoSpace, "the image is larger than the slot (" + std::to_string(size_max) + " bytes)");
  if (!target.is_block_device) {
    TRY_ASSIGN(const ByteCount free, sys::FreeBytes(target.path));
    TRY_ASSIGN(const ByteCount held, sys::SizeOf(target.file.get()));
    if (file->size.value > free.value + held.value)
      return Refuse(ErrorCode::kNoSpace, "the file system of the slot has too little space");
  }
  return StepPlan{.handler = step.handler, .file_id = file->id, .target = std::string(SlotName(idle))};
}

Result<Target> SlotHandler::OpenTarget(const StepPlan& plan) {
  TRY_ASSIGN(const Slot slot, SlotFromName(plan.target));
  TRY_ASSIGN(const Slot active, boot_.Active());
  if (slot == active) return Fail(ErrorCode::kConflict, "the slot of this order runs now");
  // From the first byte on nobody may boot it: not even a boot loader that falls back.
  TRY(boot_.MarkBad(slot));
  return OpenSlot(PathOf(slot), O_RDWR);
}

Status SlotHandler::Discard(const StepPlan&) { return {}; }

Status SlotHandler::Switch(const StepPlan& plan) {
  TRY_ASSIGN(const Slot slot, SlotFromName(plan.target));
  return boot_.SetNext(slot);
}

Status SlotHandler::Confirm(const StepPlan& plan) {
  TRY_ASSIGN(const Slot slot, SlotFromName(plan.target));
  return boot_.MarkGood(slot);
}

Status SlotHandler::Clean(const StepPlan&) { return {}; }

Status SlotHandler::RollBack(const StepPlan& plan) {
  TRY_ASSIGN(const Slot slot, SlotFromName(plan.target));
  TRY(boot_.SetNext(OtherSlot(slot)));
  return boot_.MarkBad(slot);
}

std::string SlotHandler::HealthPath(const StepPlan& plan) const {
  const auto slot = SlotFromName(plan.target);
  return slot ? PathOf(*slot) : std::string();
}

}  // namespace fleetseal::installer
