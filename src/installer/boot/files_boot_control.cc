#include <utility>

#include "installer/boot/boot_control.h"
#include "sys/file.h"

namespace fleetseal::installer {
namespace {

constexpr size_t kFileBytesMax = 16;

std::string StateName(Slot slot) { return "state-" + std::string(SlotName(slot)); }

}  // namespace

Result<Slot> SlotFromName(std::string_view name) {
  if (name == "a") return Slot::kA;
  if (name == "b") return Slot::kB;
  return Fail(ErrorCode::kValueOutOfRange, "a slot is \"a\" or \"b\"");
}

Result<std::unique_ptr<BootControl>> FilesBootControl::Open(std::string directory) {
  TRY(sys::MakeDirectories(directory, 0700));
  std::unique_ptr<FilesBootControl> control(new FilesBootControl(std::move(directory)));
  const std::pair<std::string_view, std::string_view> defaults[] = {
      {"state-a", "good"}, {"state-b", "bad"}, {"next", "a"}, {"active", "a"}};
  for (const auto& [name, value] : defaults)
    if (!sys::FileExists(sys::JoinPath(control->directory_, name))) TRY(control->Write(name, value));
  TRY(control->Active());
  TRY(control->Next());
  return control;
}

Status FilesBootControl::Check(const std::string& directory) {
  const FilesBootControl control(directory);
  TRY(control.Active());
  TRY(control.Next());
  for (const Slot slot : {Slot::kA, Slot::kB}) {
    const std::string path = sys::JoinPath(directory, StateName(slot));
    TRY_ASSIGN(const std::string text, sys::ReadTextFile(path, kFileBytesMax));
    if (text != "good\n" && text != "bad\n")
      return Fail(ErrorCode::kCorrupt, path + " holds neither \"good\" nor \"bad\"");
  }
  return {};
}

Result<Slot> FilesBootControl::ReadSlot(std::string_view name) const {
  const std::string path = sys::JoinPath(directory_, name);
  TRY_ASSIGN(std::string text, sys::ReadTextFile(path, kFileBytesMax));
  while (text.ends_with('\n')) text.pop_back();
  auto slot = SlotFromName(text);
  if (!slot) return Fail(ErrorCode::kCorrupt, path + " holds neither \"a\" nor \"b\"");
  return slot;
}

Status FilesBootControl::Write(std::string_view name, std::string_view value) const {
  return sys::WriteFileDurably(sys::JoinPath(directory_, name), AsBytes(std::string(value) + "\n"), 0600);
}

Result<Slot> FilesBootControl::Active() const { return ReadSlot("active"); }
Result<Slot> FilesBootControl::Next() const { return ReadSlot("next"); }
Status FilesBootControl::SetNext(Slot slot) { return Write("next", SlotName(slot)); }
Status FilesBootControl::MarkGood(Slot slot) { return Write(StateName(slot), "good"); }
Status FilesBootControl::MarkBad(Slot slot) { return Write(StateName(slot), "bad"); }

Status FilesBootControl::SimulateBoot() {
  TRY_ASSIGN(const Slot next, Next());
  return Write("active", SlotName(next));
}

}  // namespace fleetseal::installer
