// BootControl: which of the two slots runs, which runs next, and which are good.
//
// Source: trust model section 8 (checks 12 and 13). The interface is what a boot loader offers; FilesBootControl is its
// implementation by small files for tests, the lab, and boot loaders that read such files; CommandBootControl asks an
// executable.
// Thread rule: one thread at a time. Every write is durable when it returns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fleetseal::installer {

enum class Slot : uint8_t { kA, kB };
inline Slot OtherSlot(Slot slot) { return slot == Slot::kA ? Slot::kB : Slot::kA; }
inline std::string_view SlotName(Slot slot) { return slot == Slot::kA ? "a" : "b"; }
Result<Slot> SlotFromName(std::string_view name);  // ValueOutOfRange

class BootControl {
 public:
  virtual ~BootControl() = default;
  // The slot that runs now.
  virtual Result<Slot> Active() const = 0;
  // The slot that the next start tries.
  virtual Result<Slot> Next() const = 0;
  virtual Status SetNext(Slot slot) = 0;
  virtual Status MarkGood(Slot slot) = 0;
  // It is not booted any more (also while it is being written).
  virtual Status MarkBad(Slot slot) = 0;
  // Only with reboot mode `simulate`: what a boot loader does at a start, next becomes active.
  virtual Status SimulateBoot() = 0;
};

// Files in one directory: `active` and `next` hold "a" or "b", `state-a` and `state-b` hold "good" or "bad".
class FilesBootControl final : public BootControl {
 public:
  // Makes what is missing: slot a runs and is good, slot b is bad. Corrupt if a file holds something else.
  static Result<std::unique_ptr<BootControl>> Open(std::string directory);
  // Changes nothing. NotFound, Corrupt.
  static Status Check(const std::string& directory);

  Result<Slot> Active() const override;
  Result<Slot> Next() const override;
  Status SetNext(Slot slot) override;
  Status MarkGood(Slot slot) override;
  Status MarkBad(Slot slot) override;
  Status SimulateBoot() override;

 private:
  explicit FilesBootControl(std::string directory) : directory_(std::move(directory)) {}
  Result<Slot> ReadSlot(std::string_view name) const;
  Status Write(std::string_view name, std::string_view value) const;

  std::string directory_;
};

// An executable that a device brings: docs/how-to/boot-control.md is its contract. It runs with a time limit, an empty
// environment but for PATH, bounded output, and inside the installer's sandbox. What it says is read strictly: another
// answer, another exit code than 0 or no answer is tried again, then ProcessFailed, TimedOut. SetNext asks back what
// the next start tries, so that a "yes" alone never counts.
class CommandBootControl final : public BootControl {
 public:
  struct Options {
    std::vector<std::string> command;
    int64_t timeout_ms = 10'000;
  };
  // Asks once.
  static Result<std::unique_ptr<BootControl>> Open(Options options);

  Result<Slot> Active() const override;
  Result<Slot> Next() const override;
  Status SetNext(Slot slot) override;
  Status MarkGood(Slot slot) override;
  Status MarkBad(Slot slot) override;
  // The verb `boot`, which only an executable that plays a boot loader has.
  Status SimulateBoot() override;

 private:
  struct Slots {
    Slot active;
    Slot next;
  };
  explicit CommandBootControl(Options options) : options_(std::move(options)) {}
  Result<std::string> RunOnce(std::string_view verb, std::string_view slot) const;
  Result<std::string> Run(std::string_view verb, std::string_view slot) const;
  Result<Slots> Get() const;
  static Result<Slots> ParseAnswer(std::string_view answer);

  const Options options_;
};

}  // namespace fleetseal::installer
