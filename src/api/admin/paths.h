// Paths of the admin API.
//
// Source: docs/protocol/processes.md section 6. {names} are path parameters; hashes in paths are lower-case hex.
// Thread rule: constants.
#pragma once

#include <cstddef>
#include <string_view>

namespace fleetseal::api::admin {

inline constexpr std::string_view kWhoAmIPath = "/admin/v1/whoami";
inline constexpr std::string_view kRequestsPath = "/admin/v1/requests";  // + "/{id}" and "/{id}/approvals"
inline constexpr std::string_view kUpdatesPath =
    "/admin/v1/updates";  // + "/{hex}", "/{hex}/documents", "/{hex}/files/{fileId}"
inline constexpr std::string_view kPlansPath = "/admin/v1/plans";
inline constexpr std::string_view kRolloutsPath = "/admin/v1/rollouts";  // + "/{planId}" and "/{planId}/start"
inline constexpr std::string_view kRegisterChangesPath = "/admin/v1/register-changes";
inline constexpr std::string_view kPersonCertificatesPath = "/admin/v1/person-certificates";
inline constexpr std::string_view kPeoplePath = "/admin/v1/people";
inline constexpr std::string_view kDevicesPath =
    "/admin/v1/devices";                                             // + "/{id}", "/{id}/timeline" and "/{id}/evidence"
inline constexpr std::string_view kGroupsPath = "/admin/v1/groups";  // + "/{name}" and "/{name}/members"
inline constexpr std::string_view kRevocationsPath = "/admin/v1/revocations";
inline constexpr std::string_view kEventsPath = "/admin/v1/events";
inline constexpr std::string_view kPackagesPath = "/admin/v1/packages";
inline constexpr std::string_view kKeysPath = "/admin/v1/keys";
inline constexpr std::string_view kResigningsPath = "/admin/v1/resignings";
inline constexpr std::string_view kPermitsPath = "/admin/v1/permits";  // + "/{id}" and "/{id}/approvals"
inline constexpr std::string_view kAuditPath = "/admin/v1/audit";

// Elements of one page: default and greatest `limit`.
inline constexpr size_t kPageDefault = 100;
inline constexpr size_t kPageMax = 1000;
// Greatest answer, bytes.
inline constexpr size_t kAnswerBytesMax = 4 * 1024 * 1024;

}  // namespace fleetseal::api::admin
