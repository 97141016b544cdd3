#include "installer/boot/boot_control.h"
#include "sys/process.h"

namespace fleetseal::installer {
namespace {

constexpr int kAttempts = 3;
constexpr size_t kOutputBytesMax = 4096;
constexpr const char* kPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

// What a person sees of an output: one line, printable.
std::string Shown(std::string_view output) {
  constexpr size_t kShownBytes = 200;
  std::string text(output.substr(0, kShownBytes));
  for (char& c : text)
    if (c < ' ' || c > '~') c = ' ';
  return text;
}

}  // namespace

Result<std::unique_ptr<BootControl>> CommandBootControl::Open(Options options) {
  std::unique_ptr<CommandBootControl> control(new CommandBootControl(std::move(options)));
  TRY(control->Get());
  return control;
}

Result<std::string> CommandBootControl::RunOnce(std::string_view verb, std::string_view slot) const {
  sys::SpawnOptions spawn;
  spawn.program = options_.command.front();
  spawn.arguments.assign(options_.command.begin() + 1, options_.command.end());
  spawn.arguments.emplace_back(verb);
  if (!slot.empty()) spawn.arguments.emplace_back(slot);
  spawn.environment = {kPath};
  TRY_ASSIGN(auto outcome, sys::RunProgram(std::move(spawn), options_.timeout_ms, kOutputBytesMax));
  if (!outcome.exit.is_success())
    return Fail(ErrorCode::kProcessFailed, outcome.exit.ToString() + ": " + Shown(outcome.output));
  return std::move(outcome.output);
}

// Every verb may be repeated, so a failure that passes (a lock, a slow disk) ends nothing.
Result<std::string> CommandBootControl::Run(std::string_view verb, std::string_view slot) const {
  Result<std::string> answer = Fail(ErrorCode::kInternal, "");
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    answer = RunOnce(verb, slot);
    if (answer) return answer;
  }
  return tl::unexpected(WithContext(answer.error(), "boot control: " + std::string(verb)));
}

// Exactly "active a\nnext b\n".
Result<CommandBootControl::Slots> CommandBootControl::ParseAnswer(std::string_view answer) {
  for (const Slot active : {Slot::kA, Slot::kB}) {
    for (const Slot next : {Slot::kA, Slot::kB}) {
      const std::string expected =
          "active " + std::string(SlotName(active)) + "\nnext " + std::string(SlotName(next)) + "\n";
      if (answer == expected) return Slots{.active = active, .next = next};
    }
  }
  return Fail(ErrorCode::kProcessFailed,
              "boot control: get: not \"active SLOT\" and \"next SLOT\", a line each: " + Shown(answer));
}

Result<CommandBootControl::Slots> CommandBootControl::Get() const {
  TRY_ASSIGN(const std::string answer, Run("get", ""));
  return ParseAnswer(answer);
}

Result<Slot> CommandBootControl::Active() const {
  TRY_ASSIGN(const Slots slots, Get());
  return slots.active;
}

Result<Slot> CommandBootControl::Next() const {
  TRY_ASSIGN(const Slots slots, Get());
  return slots.next;
}

Status CommandBootControl::SetNext(Slot slot) {
  TRY(Run("set-next", SlotName(slot)));
  TRY_ASSIGN(const Slot next, Next());
  if (next == slot) return {};
  return Fail(ErrorCode::kProcessFailed, "boot control: set-next " + std::string(SlotName(slot)) +
                                             " said yes, but the next start tries " + std::string(SlotName(next)));
}

Status CommandBootControl::MarkGood(Slot slot) {
  TRY(Run("mark-good", SlotName(slot)));
  return {};
}

Status CommandBootControl::MarkBad(Slot slot) {
  TRY(Run("mark-bad", SlotName(slot)));
  return {};
}

Status CommandBootControl::SimulateBoot() {
  TRY(Run("boot", ""));
  return {};
}

}  // namespace fleetseal::installer
