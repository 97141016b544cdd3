// The fixed users of the processes, and the rights on directories that they need.
//
// Source: design section 3: each program runs as its own user. Run as root, a supervisor gives each program the numeric
// id below (no entry in /etc/passwd is needed; packages may make named users and say so in the configuration).
// Thread rule: any thread.
#pragma once

#include <sys/types.h>

#include <string>
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

// chown of `path` and all below it; symbolic links are changed themselves, never followed.
Status ChownTree(const std::string& path, uid_t uid, gid_t gid);
// chown and chmod of one file or directory.
Status SetOwner(const std::string& path, uid_t uid, gid_t gid, mode_t mode);

// Lets other users pass through the directories above `path` to reach it: adds the search permission for others (x,
// never r or w) to each parent that lacks it. Returns the directories it changed, outermost first, so that the person
// is told.
Result<std::vector<std::string>> OpenPathFor(const std::string& path);

}  // namespace fleetseal::sys
