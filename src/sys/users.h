// The fixed users of the processes, and the rights on directories that they need.
//
// Source: design section 3: each program runs as its own user. Run as root, a supervisor gives each program the numeric
// id below (no entry in /etc/passwd is needed; packages may make named users and say so in the configuration).
// Thread rule: any thread.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/process.h"

namespace fleetseal::sys {

// User and group ids are equal. The shared group is for the sockets between signer, sealer
// and server; no file belongs to it, and the programs of a device are not in it.
inline constexpr gid_t kSharedGroupId = 61000;
inline constexpr uid_t kSignerUserId = 61001;
inline constexpr uid_t kSealerUserId = 61002;
inline constexpr uid_t kServerUserId = 61003;
inline constexpr uid_t kAgentUserId = 61004;
inline constexpr uid_t kInstallerUserId = 61005;

// {uid, gid = uid}, with the shared group for signer, sealer and server.
ChildUser ChildUserFor(uid_t uid);

// True if the effective user is root.
bool IsRoot();

// Run as root: becomes the owner of `path`, its group, and no other groups, for good. Nothing happens if this process
// is not root or root owns it. For programs that must not run as root, started by hand with the configuration of
// another user.
Status BecomeOwnerOf(const std::string& path);

// The user `name` of the system's list with its own group. NotFound if there is none.
Result<ChildUser> UserNamed(const std::string& name);

// As long as it lives, root acts on files as that user, so that nothing the user put in the way (a link, a folder)
// leads root elsewhere. The whole process changes: REQUIRES one thread. Without root Begin() is StorageFailed.
class ActingAs {
 public:
  static Result<std::unique_ptr<ActingAs>> Begin(const ChildUser& user);
  ~ActingAs();
  ActingAs(const ActingAs&) = delete;
  ActingAs& operator=(const ActingAs&) = delete;

 private:
  explicit ActingAs(std::vector<gid_t> groups) : groups_(std::move(groups)) {}
  const std::vector<gid_t> groups_;  // root's own
};

// Makes the directory if needed (those above it 0755) and gives it to the user (nullopt: to this process's). A symbolic
// link at `path` is refused.
Status OwnDirectory(const std::string& path, const std::optional<ChildUser>& user, mode_t mode);

// chown of `path` and all below it; symbolic links are changed themselves, never followed.
Status ChownTree(const std::string& path, uid_t uid, gid_t gid);
// chown and chmod of one file or directory.
Status SetOwner(const std::string& path, uid_t uid, gid_t gid, mode_t mode);

// Lets other users pass through the directories above `path` to reach it: adds the search permission for others (x,
// never r or w) to each parent that lacks it. Returns the directories it changed, outermost first, so that the person
// is told.
Result<std::vector<std::string>> OpenPathFor(const std::string& path);

}  // namespace fleetseal::sys
