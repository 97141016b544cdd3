// Handlers: how one step of an update reaches its place, and how it is taken back.
//
// Source: docs/protocol/documents.md section 3; trust model section 8 (handlers write only below installer-owned
// prefixes). Life of a step: Plan -> OpenTarget + writes + Seal -> Switch -> (Confirm, state stored, Clean | RollBack).
// Switch, Confirm, Clean and RollBack may be repeated after a crash and then end in the same state. Nothing that runs
// is touched before Switch. Thread rule: one thread at a time. Ownership: the machine owns the handlers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "installer/boot/boot_control.h"
#include "manifest/update_manifest.h"
#include "sys/file.h"

namespace fleetseal::installer {

// Where the bytes of one file go before anybody uses them.
struct Target {
  sys::FileDescriptor file;
  std::string path;
  bool is_block_device = false;
};

// One step as the journal keeps it: enough to switch, commit and roll back without the manifest.
struct StepPlan {
  std::string handler;
  FileId file_id;
  std::string target;         // handler `file`: the name below the prefix; `slot`: "a" or "b"
  bool had_previous = false;  // handler `file`: there was a file of that name
};

class Handler {
 public:
  virtual ~Handler() = default;
  // What the step would do. HandlerFailed (form of the step), NoSpace (the files do not fit). Changes nothing.
  virtual Verdict<StepPlan> Plan(const manifest::UpdateStep& step, const manifest::UpdateManifest& manifest) const = 0;
  // Opens for writing from the start; what was there before is void.
  virtual Result<Target> OpenTarget(const StepPlan& plan) = 0;
  // After the last byte: exact length, durable. Takes the target back.
  Status Seal(Target target, ByteCount size);
  // Throws away what was written.
  virtual Status Discard(const StepPlan& plan) = 0;
  virtual Status Switch(const StepPlan& plan) = 0;
  // Before the commit is stored: the new version is good.
  virtual Status Confirm(const StepPlan& plan) = 0;
  // After it was stored: what a roll-back would have needed goes.
  virtual Status Clean(const StepPlan& plan) = 0;
  virtual Status RollBack(const StepPlan& plan) = 0;
  // What the health command gets to see.
  virtual std::string HealthPath(const StepPlan& plan) const = 0;
};

// `fleetseal/slot:1`: the idle one of two slots.
class SlotHandler final : public Handler {
 public:
  struct Options {
    std::string a;
    std::string b;
    uint64_t bytes_max = 0;
  };
  // `boot` outlives the handler. Makes missing regular files. ConfigInvalid for another kind of file, or no size.
  static Result<std::unique_ptr<SlotHandler>> Open(Options options, BootControl& boot);

  Verdict<StepPlan> Plan(const manifest::UpdateStep& step, const manifest::UpdateManifest& manifest) const override;
  Result<Target> OpenTarget(const StepPlan& plan) override;
  Status Discard(const StepPlan& plan) override;
  Status Switch(const StepPlan& plan) override;
  Status Confirm(const StepPlan& plan) override;
  Status Clean(const StepPlan& plan) override;
  Status RollBack(const StepPlan& plan) override;
  std::string HealthPath(const StepPlan& plan) const override;

 private:
  SlotHandler(Options options, BootControl& boot) : options_(std::move(options)), boot_(boot) {}
  const std::string& PathOf(Slot slot) const { return slot == Slot::kA ? options_.a : options_.b; }

  Options options_;
  BootControl& boot_;
};

// `fleetseal/file:1`: one file below a prefix; the previous one is kept until commit.
class FileHandler final : public Handler {
 public:
  // Makes the prefix (0755) if it is not there.
  static Result<std::unique_ptr<FileHandler>> Open(std::string prefix);

  Verdict<StepPlan> Plan(const manifest::UpdateStep& step, const manifest::UpdateManifest& manifest) const override;
  Result<Target> OpenTarget(const StepPlan& plan) override;
  Status Discard(const StepPlan& plan) override;
  Status Switch(const StepPlan& plan) override;
  Status Confirm(const StepPlan& plan) override;
  Status Clean(const StepPlan& plan) override;
  Status RollBack(const StepPlan& plan) override;
  std::string HealthPath(const StepPlan& plan) const override;

 private:
  explicit FileHandler(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string New(const StepPlan& plan) const { return sys::JoinPath(prefix_, ".new-" + plan.target); }
  std::string Old(const StepPlan& plan) const { return sys::JoinPath(prefix_, ".old-" + plan.target); }
  std::string Final(const StepPlan& plan) const { return sys::JoinPath(prefix_, plan.target); }

  std::string prefix_;
};

using HandlerMap = std::map<std::string, std::unique_ptr<Handler>, std::less<>>;

}  // namespace fleetseal::installer
